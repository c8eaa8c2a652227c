"""What a pod's claims need on a node: bound volumes in reach, free ones to take, or room to provision (VB-129).

All that does not depend on the node is worked out once for a pod (`PodVolumes.of`); `plan` then says what a node gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, Labels
from simulator.api.storage import NO_PROVISIONER, CSIDriver, CSIStorageCapacity, StorageClass
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import affinity_matches, class_of
from simulator.cluster.component import View
from simulator.errors import InvariantViolated
from simulator.scheduler.plugins.free_volumes import Candidates, FreeVolumes, Reach, size_of
from simulator.units import Quantity

OUT_OF_REACH: Final = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME: Final = "node(s) didn't find available persistent volumes to bind"
NO_SPACE: Final = "node(s) did not have enough free storage"
NO_SUCH_VOLUME: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"

Chosen = Mapping[Key, Key]
"""Claim to volume: how ties have been broken."""

NOTHING_CHOSEN: Final[Chosen] = {}
EVERY_NODE: Final = ""

class Supply(Struct, frozen=True):
    """How volumes of a class are provisioned.

    Attributes
    ----------
    storage_class : None if it has vanished.
    capacities : what the driver says it can still make, and where; None if it does not say (VB-138).
    """

    name: str
    storage_class: StorageClass | None
    capacities: tuple[CSIStorageCapacity, ...] | None = None

    @classmethod
    def of(cls, name: str, view: View) -> Supply:
        """Look up a class and its driver."""
        storage_class = view.get(StorageClass, name)
        if storage_class is None:
            return cls(name, None)
        driver = view.get(CSIDriver, storage_class.provisioner)
        if driver is None or not driver.spec.storage_capacity:
            return cls(name, storage_class)
        told = tuple(each for each in view.list(CSIStorageCapacity) if each.storage_class_name == name)
        return cls(name, storage_class, told)


class Tie(Struct, frozen=True):
    """Volumes of equal merit for a claim, in the order of the list; Kubernetes takes any (VB-33, ND-1, ND-2)."""

    claim: PersistentVolumeClaim
    volumes: tuple[PersistentVolume, ...]


class Provision(Struct, frozen=True):
    """A claim to be provisioned, and what the driver says it can make there (None if it does not say)."""

    claim: PersistentVolumeClaim
    capacity: Quantity | None = None


class VolumePlan(Struct, frozen=True):
    """What would become of the pod's claims on one node.

    Attributes
    ----------
    reasons : why the node will not do; empty if it will (VB-129).
    error : what fails the whole attempt, "" if nothing does.
    static : claims and the volumes that they would take, in matching order (VB-133).
    provisions : claims to be provisioned.
    ties : where another volume would have been as good, in matching order. Those after the first suppose that the first
        is broken as in `static`.
    """

    reasons: tuple[str, ...] = ()
    error: str = ""
    static: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...] = ()
    provisions: tuple[Provision, ...] = ()
    ties: tuple[Tie, ...] = ()

    def next_tie(self, chosen: Chosen = NOTHING_CHOSEN) -> Tie | None:
        """The first tie that is not broken yet."""
        return next((tie for tie in self.ties if tie.claim.key not in chosen), None)


class PodVolumes(Struct, frozen=True):
    """All that is known of a pod's claims before a node is looked at.

    Attributes
    ----------
    bound : the volumes of fully bound claims, in order; None where the volume is gone.
    delayed : unbound claims that may take a volume, in matching order: by request, equals in the pod's order (VB-133).
    selected : unbound claims that are provisioned on the node they name (VB-132).
    supplies : per class of an unbound claim.
    settled : per node how ties have been broken; `EVERY_NODE` holds for all.
    """

    bound: tuple[Reach | None, ...] = ()
    delayed: tuple[Candidates, ...] = ()
    selected: tuple[PersistentVolumeClaim, ...] = ()
    supplies: dict[str, Supply] = {}
    settled: Mapping[str, Chosen] = {}

    @classmethod
    def of(
        cls, bound: Sequence[PersistentVolumeClaim], unbound: Sequence[PersistentVolumeClaim], view: View
    ) -> PodVolumes:
        """Look everything up; the volumes of each class once, the same for all nodes (VB-128)."""
        volumes = (view.get(PersistentVolume, claim.spec.volume_name) for claim in bound)
        supplies: dict[str, Supply] = {}
        files: dict[str, FreeVolumes] = {}
        for claim in unbound:
            name = class_of(claim)
            if name not in supplies:
                supplies[name] = Supply.of(name, view)
                files[name] = FreeVolumes.of(view.by("volumes-by-class", name))
        free = [claim for claim in unbound if SELECTED_NODE not in claim.metadata.annotations]
        free.sort(key=lambda claim: claim.request.nano if claim.request is not None else 0)
        return cls(
            bound=tuple(Reach.of(volume) if volume is not None else None for volume in volumes),
            delayed=tuple(Candidates.of(claim, files[class_of(claim)], view) for claim in free),
            selected=tuple(claim for claim in unbound if SELECTED_NODE in claim.metadata.annotations),
            supplies=supplies,
        )

    def settle(self, node: str, chosen: Chosen) -> PodVolumes:
        """The same with ties broken in a certain way on a node, or on `EVERY_NODE`."""
        merged = {**self.settled.get(node, NOTHING_CHOSEN), **chosen}
        return replace(self, settled={**self.settled, node: merged})

    def plan(self, node: Node, chosen: Chosen = NOTHING_CHOSEN) -> VolumePlan:
        """Bound claims first, then those that may take a volume, then those to be provisioned."""
        labels = node.metadata.labels
        bound_problem = self.bound_problem(labels)  # VB-131: whatever it is, the unbound claims are looked at too
        for claim in self.selected:
            if claim.metadata.annotations[SELECTED_NODE] != node.metadata.name:
                return VolumePlan(reasons=_reasons(bound_problem, NO_VOLUME))
        static: list[tuple[PersistentVolumeClaim, PersistentVolume]] = []
        to_provision = list(self.selected)
        ties: list[Tie] = []
        if self.settled:
            chosen = {
                **self.settled.get(EVERY_NODE, NOTHING_CHOSEN),
                **self.settled.get(node.metadata.name, NOTHING_CHOSEN), **chosen,
            }
        taken: list[str] = []
        for candidates in self.delayed:  # VB-133: greedy, no way back
            claim = candidates.claim
            options = candidates.best(labels, taken)
            if len(options) > 1:
                ties.append(Tie(claim, options))
            volume = _pick(options, claim, chosen)
            if volume is not None and candidates.reserved and not affinity_matches(volume, labels):
                volume = None  # VB-37
            if volume is None:
                to_provision.append(claim)  # VB-134, VB-137: its siblings keep what they have been given
            else:
                taken.append(volume.metadata.name)
                static.append((claim, volume))
        problem, error, provisions = self._provision(to_provision, labels)
        return VolumePlan(
            reasons=_reasons(bound_problem, problem) if not error else (), error=error,
            static=tuple(static), provisions=tuple(provisions), ties=tuple(ties),
        )

    def bound_problem(self, labels: Labels) -> str:
        """What is wrong with the first bound claim that does not fit, "" if all do (VB-130)."""
        for reach in self.bound:
            if reach is None:
                return NO_SUCH_VOLUME
            if not reach.includes(labels):
                return OUT_OF_REACH
        return ""

    def _provision(
        self, claims: Iterable[PersistentVolumeClaim], labels: Labels
    ) -> tuple[str, str, list[Provision]]:
        """The reason against provisioning these claims, an error, and otherwise what is to be provisioned (VB-135)."""
        provisions: list[Provision] = []
        for claim in claims:
            supply = self.supplies[class_of(claim)]
            if supply.storage_class is None:
                return "", f'failed to find storage class "{supply.name}"', []
            if supply.storage_class.provisioner in ("", NO_PROVISIONER):
                return NO_VOLUME, "", []
            if not _topology_allows(supply.storage_class, labels):
                return NO_VOLUME, "", []
            if supply.capacities is None:
                provisions.append(Provision(claim))
                continue
            capacity = _sufficient(supply.capacities, claim, labels)  # VB-139: for claims with a selected node too
            if capacity is None:
                return NO_SPACE, "", []
            provisions.append(Provision(claim, capacity))
        return "", "", provisions


_REASON_ORDER: Final = (OUT_OF_REACH, NO_VOLUME, NO_SPACE, NO_SUCH_VOLUME)


def _reasons(*problems: str) -> tuple[str, ...]:
    """The reasons in the order in which they are told (SC-66)."""
    return tuple(reason for reason in _REASON_ORDER if reason in problems)


def _pick(
    options: Sequence[PersistentVolume], claim: PersistentVolumeClaim, chosen: Chosen
) -> PersistentVolume | None:
    if not options:
        return None
    wanted = chosen.get(claim.key) if chosen else None
    if wanted is None:
        return options[0]
    for volume in options:
        if volume.metadata.name == wanted.name:
            return volume
    raise InvariantViolated(f"{wanted} is not among the volumes that {claim.key} could take")


def _topology_allows(storage_class: StorageClass, labels: Labels) -> bool:
    """Whether volumes of the class may be made for a node (VB-136)."""
    terms = storage_class.allowed_topologies
    return not terms or any(
        term.match_label_expressions
        and all(labels.get(each.key) in each.values for each in term.match_label_expressions)
        for term in terms
    )


def _sufficient(
    capacities: Iterable[CSIStorageCapacity], claim: PersistentVolumeClaim, labels: Labels
) -> Quantity | None:
    """What the first object that offers the node enough says it has (VB-138)."""
    request = claim.request.value if claim.request is not None else 0
    for each in capacities:
        limit = each.maximum_volume_size if each.maximum_volume_size is not None else each.capacity
        if limit is None or limit.value < request:
            continue
        if each.node_topology is not None and each.node_topology.selects(labels):
            return each.capacity if each.capacity is not None else limit
    return None


def ties_matter(volumes: PodVolumes) -> bool:
    """Whether breaking a tie another way could make a node feasible or infeasible.

    That is so if a claim has several volumes reserved for it, only some of them within reach; or if two volumes of
    one size are alike to one claim but not to a later one of the same class (it selects by labels, or wants other
    access modes), and one node reaches both. Claims that differ in size alone never disturb each other: equal volumes
    are equally good for all of them.
    """
    if any(len(candidates.reserved) > 1 for candidates in volumes.delayed):
        return True
    open_claims = [candidates for candidates in volumes.delayed if not candidates.reserved]
    for place, candidates in enumerate(open_claims):
        others = [
            later
            for later in open_claims[place + 1:]
            if later.free is candidates.free and not _asks_alike(later, candidates)
        ]
        if others and _tells_apart(candidates, others):
            return True
    return False


def _asks_alike(one: Candidates, other: Candidates) -> bool:
    """Whether two claims of a class differ in size alone."""
    return (
        one.selector == other.selector and set(one.modes) == set(other.modes) and one.mode == other.mode
        and one.attributes == other.attributes
    )


def _tells_apart(candidates: Candidates, others: Sequence[Candidates]) -> bool:
    """Whether two volumes of one size, both good for a claim and in reach of one node, are not alike to the others."""
    here: dict[tuple[str, int], tuple[bool, ...]] = {}
    anywhere: dict[int, tuple[bool, ...]] = {}
    for where, volume in candidates.free.everywhere():
        if not candidates.accepts(volume):
            continue
        size = size_of(volume)
        wanted_by = tuple(other.accepts(volume) for other in others)
        if here.setdefault((where, size), wanted_by) != wanted_by:
            return True
        if where == "" and anywhere.setdefault(size, wanted_by) != wanted_by:
            return True
    return any(wanted_by != anywhere[size] for (_, size), wanted_by in here.items() if size in anywhere)
