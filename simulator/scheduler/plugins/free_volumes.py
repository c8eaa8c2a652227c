"""Which volumes an unbound claim could take, before and at a node (VB-31 to VB-41).

Volumes are filed once for a pod by the node label that reaches them, so that a node costs a dictionary look-up and not
a walk over the volumes of the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Labels
from simulator.api.selectors import LabelSelector, NodeSelector
from simulator.binding.reference import affinity_matches, attributes_class, class_of, refers, volume_mode
from simulator.cluster.component import View


class Reach(Struct, frozen=True):
    """Where a volume can be reached from: everywhere, by one label's value, or by a rule that must be evaluated."""

    volume: PersistentVolume
    label: str = ""
    values: tuple[str, ...] = ()
    is_rule: bool = False

    @classmethod
    def of(cls, volume: PersistentVolume) -> Reach:
        """The reach of a volume."""
        affinity = volume.spec.node_affinity
        if affinity is None or affinity.required is None:
            return cls(volume)
        simple = _one_label(affinity.required)
        return cls(volume, *simple) if simple is not None else cls(volume, is_rule=True)

    def includes(self, labels: Labels) -> bool:
        """Whether a node with these labels reaches the volume (VB-40)."""
        if self.label:
            return labels.get(self.label) in self.values
        return not self.is_rule or affinity_matches(self.volume, labels)


def _one_label(required: NodeSelector) -> tuple[str, tuple[str, ...]] | None:
    """Label and values of a rule of the shape that nearly all local volumes have; None for any other."""
    terms = required.node_selector_terms
    if len(terms) == 1:
        expressions = terms[0].match_expressions
        if len(expressions) == 1 and expressions[0].operator == "In" and expressions[0].values:
            return expressions[0].key, expressions[0].values
    return None


class FreeVolumes(Struct, frozen=True):
    """The free volumes of a class, filed by what reaches them; each file is in the order of the class's list.

    Attributes
    ----------
    by_label : label, then value, then volumes.
    anywhere, by_rule : those without a node affinity, and those with one that must be evaluated at each node.
    """

    by_label: dict[str, dict[str, list[PersistentVolume]]]
    anywhere: list[PersistentVolume]
    by_rule: list[PersistentVolume]

    @classmethod
    def of(cls, volumes: Iterable[PersistentVolume]) -> FreeVolumes:
        """File the volumes that any claim may take (VB-3, VB-32, VB-174)."""
        by_label: dict[str, dict[str, list[PersistentVolume]]] = {}
        anywhere: list[PersistentVolume] = []
        by_rule: list[PersistentVolume] = []
        for volume in volumes:
            spec = volume.spec
            if spec.claim_ref is not None or volume.status.phase != "Available":
                continue
            if volume.metadata.deletion_timestamp is not None:
                continue
            affinity = spec.node_affinity
            if affinity is None or affinity.required is None:
                anywhere.append(volume)
                continue
            simple = _one_label(affinity.required)
            if simple is None:
                by_rule.append(volume)
                continue
            label, values = simple
            files = by_label.setdefault(label, {})
            for value in values:
                file = files.get(value)
                if file is None:
                    files[value] = [volume]
                else:
                    file.append(volume)
        return cls(by_label, anywhere, by_rule)

    def in_reach(self, labels: Labels) -> Sequence[PersistentVolume]:
        """Those that a node with these labels can reach."""
        found = self.anywhere
        for label, files in self.by_label.items():
            value = labels.get(label)
            there = files.get(value) if value is not None else None
            if there:
                found = found + there if found else there
        if self.by_rule:
            found = found + [volume for volume in self.by_rule if affinity_matches(volume, labels)]
        return found

    def everywhere(self) -> list[tuple[str, PersistentVolume]]:
        """All of them, each with a mark of where it is.

        Two volumes that one node can reach never differ in the mark, unless one of the marks is empty.
        """
        single = len(self.by_label) == 1
        filed = [
            (value if single else "", volume)
            for files in self.by_label.values()
            for value, volumes in files.items()
            for volume in volumes
        ]
        return [*filed, *(("", volume) for volume in self.anywhere), *(("", volume) for volume in self.by_rule)]


class Candidates(Struct, frozen=True):
    """The volumes that one unbound claim could take, and what it asks of them.

    Attributes
    ----------
    reserved : volumes that refer to the claim; if there is one, nothing else is looked at (VB-34, VB-37).
    free : the free volumes of its class, fitting or not.
    """

    claim: PersistentVolumeClaim
    reserved: tuple[PersistentVolume, ...]
    free: FreeVolumes
    request: int
    mode: str
    attributes: str
    modes: tuple[str, ...]
    selector: LabelSelector | None

    @classmethod
    def of(cls, claim: PersistentVolumeClaim, free: FreeVolumes, view: View) -> Candidates:
        """What the claim asks for, and what is reserved for it in its class (VB-36)."""
        asked, named = claim.request, class_of(claim)
        made = cls(
            claim=claim, reserved=(), free=free, request=asked.nano if asked is not None else 0,
            mode=volume_mode(claim), attributes=attributes_class(claim), modes=claim.spec.access_modes,
            selector=claim.spec.selector,
        )
        reserved = tuple(
            volume
            for volume in view.by("volumes-by-claim", (claim.metadata.namespace, claim.metadata.name))
            if class_of(volume) == named and refers(volume, claim) and made._suits(volume)
            and not volume.metadata.is_terminating
        )
        return replace(made, reserved=reserved) if reserved else made

    def _suits(self, volume: PersistentVolume) -> bool:
        """What even a reserved volume must satisfy (VB-34)."""
        spec = volume.spec
        return (
            size_of(volume) >= self.request
            and (spec.volume_mode or "Filesystem") == self.mode
            and (spec.volume_attributes_class_name or "") == self.attributes
        )

    def accepts(self, volume: PersistentVolume) -> bool:
        """Whether a free volume of the class will do, wherever it is (VB-32)."""
        if not self._suits(volume):
            return False
        offered = volume.spec.access_modes
        if self.modes != offered and not all(mode in offered for mode in self.modes):
            return False
        return self.selector is None or self.selector.selects(volume.metadata.labels)

    def best(self, labels: Labels, taken: Sequence[str]) -> tuple[PersistentVolume, ...]:
        """The smallest acceptable volumes in reach; or all reserved ones, which tie wherever they are (VB-37)."""
        if self.reserved:
            return self.reserved
        least = -1
        found: list[PersistentVolume] = []
        for volume in self.free.in_reach(labels):
            if not self.accepts(volume) or (taken and volume.metadata.name in taken):
                continue
            size = size_of(volume)
            if not found or size < least:
                least, found = size, [volume]
            elif size == least:
                found.append(volume)
        return tuple(found)

    def finds_any(self, labels: Labels) -> bool:
        """Whether a free volume in reach will do."""
        return any(self.accepts(volume) for volume in self.free.in_reach(labels))


def size_of(volume: PersistentVolume) -> int:
    """A volume's capacity, in billionths."""
    size = volume.spec.capacity.get("storage")
    return size.nano if size is not None else 0
