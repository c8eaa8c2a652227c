"""What all families of repairs share: a candidate, and the scene in which it is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, ObjectMeta, encode, evolve, with_meta
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import StorageClass
from simulator.binding.reference import affinity_matches, class_of, is_delayed, is_fully_bound
from simulator.cluster.admission.nodes import ASSUMED_CAPACITY
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Edit, Fact
from simulator.diagnosis.relax import fitting_volume
from simulator.diagnosis.steps import Do, apply, by_hand, delete, manifest_of
from simulator.diagnosis.table import PodTable, pod_table
from simulator.explanation.evidence import Evidence
from simulator.explanation.words import short
from simulator.scheduler.resources import CPU, pod_requests
from simulator.units import quantity


class Candidate(Struct, frozen=True):
    """A repair that has not been tried.

    Attributes
    ----------
    family : candidates of one family can be carried out together, for several knots.
    edit : what is done beside the cluster's API, for steps that no command does.
    notes : what it costs, as far as no run can tell.
    gives_up : whether something that was wanted is no longer wanted.
    may_be_luck : whether it is worth telling even if only some runs converge.
    place : where, if it can be done in several places as well; the title ends with it.
    """

    family: str
    title: str
    does: tuple[Do, ...]
    edit: Edit | None = None
    notes: tuple[str, ...] = ()
    needs_hardware: bool = False
    gives_up: bool = False
    may_be_luck: bool = False
    place: str = ""


class Ailing(Struct, frozen=True):
    """A knot, as those see it who look for repairs.

    Attributes
    ----------
    facts : that the cores and the ways out name; all of them if there is no core.
    """

    keys: tuple[Key, ...]
    facts: tuple[Fact, ...]

    def of_kind(self, *kinds: str) -> list[Fact]:
        """The facts of some kinds."""
        return [fact for fact in self.facts if fact.kind in kinds]

    def has(self, *kinds: str) -> bool:
        """Whether there is a fact of one of these kinds."""
        return any(fact.kind in kinds for fact in self.facts)


class Scene(Struct):
    """The end of the run, and questions about it.

    Attributes
    ----------
    used : claims that a running pod has used: there may be data in their volumes.
    """

    evidence: Evidence
    draft: Draft
    used: frozenset[Key]
    tables: dict[Key, PodTable]

    def pods_of(self, ailing: Ailing) -> list[Pod]:
        """The unscheduled pods of a knot, those that wait for its claims included."""
        found: dict[Key, Pod] = {}
        for key in ailing.keys:
            obj = self.evidence.state.find(key)
            users = self.evidence.users_of(obj) if isinstance(obj, PersistentVolumeClaim) else [obj]
            for user in users:
                if isinstance(user, Pod) and not user.metadata.is_terminating:
                    found[user.key] = user
        return list(found.values())

    def owner(self, pod: Pod) -> StatefulSet | None:
        """The set that made a pod, and would make it again."""
        controller = pod.metadata.controller
        if controller is None:
            return None
        obj = self.evidence.state.get(StatefulSet, controller.name, pod.namespace)
        return obj if obj is not None and not obj.metadata.is_terminating else None

    def claims(self, pod: Pod) -> list[PersistentVolumeClaim]:
        """The claims of a pod that exist."""
        return [claim for _, claim in self.evidence.claims_of(pod) if claim is not None]

    def template_of(self, claim: PersistentVolumeClaim) -> StatefulSet | None:
        """The set that would make a claim again, with its pod."""
        for obj in self.evidence.state.list(StatefulSet, claim.namespace):
            for template in obj.spec.volume_claim_templates:
                member = parent_and_ordinal(claim.name.removeprefix(f"{template.name}-"))
                if claim.name.startswith(f"{template.name}-") and member is not None and member[0] == obj.name:
                    return obj
        return None

    def table(self, pod: Pod) -> PodTable:
        """Every rule's answer to a pod."""
        found = self.tables.get(pod.key)
        if found is None:
            found = self.tables[pod.key] = pod_table(self.evidence, pod)
        return found

    def open_nodes(self, pod: Pod) -> list[Node]:
        """The nodes that nothing but volumes closes to a pod."""
        rules = ("VolumeBinding", "VolumeZone")
        return [
            node for answers in self.table(pod).nodes
            if all(answer.rule in rules for answer in answers.refusals)
            and (node := self.evidence.state.get(Node, answers.node)) is not None
        ]

    def makes_again(self, pod: Pod, changed: Mapping[str, Any] | None = None) -> list[Do]:
        """A pod is deleted and made again: by its set, or by hand."""
        if self.owner(pod) is not None and changed is None:
            return [delete(pod.key)]
        return [delete(pod.key, wait=True), apply(changed or manifest_of(pod))]

    def remakes(self, pod: Pod, claims: Sequence[PersistentVolumeClaim]) -> list[Do]:
        """Claims and pod are deleted; a set makes both again, what was made by hand is applied again."""
        if not claims:
            return self.makes_again(pod)
        keys = [claim.key for claim in claims]
        if self.owner(pod) is None:
            return [delete(pod.key, wait=True), delete(*keys, wait=True), apply(*map(manifest_of, (*claims, pod)))]
        by_hand = [claim for claim in claims if self.template_of(claim) is None]
        does = [delete(*keys), delete(pod.key)]
        if by_hand:
            gone = " and ".join(f"{claim.key} is gone" for claim in by_hand)
            does.append(apply(*map(manifest_of, by_hand), wait_for=gone))
        return does

    def makes_claim_again(self, claim: PersistentVolumeClaim, **spec: Any) -> dict[str, Any]:
        """The manifest of a claim, with changes to its spec."""
        manifest = manifest_of(claim)
        manifest["spec"] = {**manifest["spec"], **spec}
        return manifest

    def is_immediate(self, claim: PersistentVolumeClaim) -> bool:
        """Whether a claim is bound without looking at its pod."""
        return not is_delayed(self.evidence.class_of(claim))

    def missing(self, obj: StatefulSet) -> list[int]:
        """The ordinals of a set that have no pod."""
        return [ordinal for ordinal in obj.ordinals
                if self.evidence.state.get(Pod, obj.pod_name(ordinal), obj.namespace) is None]

    def claims_to_come(self, obj: StatefulSet, ordinal: int) -> list[PersistentVolumeClaim]:
        """The claims that a set would make for an ordinal, if it had to; those that are bound already left out."""
        found: list[PersistentVolumeClaim] = []
        for template in obj.spec.volume_claim_templates:
            name = obj.claim_name(template.name, ordinal)
            known = self.evidence.state.get(PersistentVolumeClaim, name, obj.namespace)
            if known is None:
                meta = ObjectMeta(name=name, namespace=obj.namespace, labels=template.metadata.labels)
                found.append(evolve(template, metadata=meta))
            elif not is_fully_bound(known):
                found.append(known)
        return found

    def volumes_for(
        self, claim: PersistentVolumeClaim, node: Node, taken: Iterable[str] = ()
    ) -> list[PersistentVolume]:
        """The free volumes that a claim could take on a node, the smallest first."""
        request = claim.request
        found = [
            volume for volume in self.evidence.state.by("volumes-by-class", class_of(claim))
            if volume.spec.claim_ref is None and volume.status.phase == "Available" and volume.name not in set(taken)
            and not volume.metadata.is_terminating and affinity_matches(volume, node.metadata.labels)
            and (request is None or (volume.capacity is not None and volume.capacity >= request))
            and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
            and (volume.spec.volume_mode or "Filesystem") == (claim.spec.volume_mode or "Filesystem")
            and (claim.spec.selector is None or claim.spec.selector.selects(volume.metadata.labels))
        ]
        return sorted(found, key=lambda volume: volume.capacity.nano if volume.capacity is not None else 0)

    def new_volume(self, claim: PersistentVolumeClaim, node: str, hostname: str = "") -> dict[str, Any]:
        """The manifest of a local volume that fits a claim."""
        name = f"pv-{node}-{claim.name}"
        return manifest_of(fitting_volume(claim, name, hostname or node))

    def new_node(self, taken: Sequence[str] = (), pod: Pod | None = None) -> Node:
        """A further machine, like the first that takes pods, or as large as a pod needs."""
        known = {node.name for node in self.evidence.nodes} | set(taken)
        name = next(name for number in range(1, len(known) + 2) if (name := f"new-node{number}") not in known)
        open_nodes = [node for node in self.evidence.nodes if not node.spec.taints and not node.spec.unschedulable]
        like = open_nodes[0].status.allocatable if open_nodes else ASSUMED_CAPACITY
        sizes = dict(like)
        for resource, amount in pod_requests(pod).items() if pod is not None else ():
            wanted = quantity(f"{amount}m" if resource == CPU else f"{amount}")
            if resource not in sizes or sizes[resource] < wanted:
                sizes[resource] = wanted
        node = with_meta(Node(), name=name, labels={HOSTNAME: name})
        return evolve(node, status=evolve(node.status, capacity=sizes, allocatable=sizes))

    def classes(self) -> list[StorageClass]:
        """All classes."""
        return list(self.evidence.state.list(StorageClass))


DISK: Final = "the disk or directory behind each new volume has to be there first"


def join(node: Node) -> Do:
    """A machine becomes a node of the cluster."""
    manifest = manifest_of(node)
    sizes = encode(node.status)
    if "allocatable" in sizes:
        manifest["status"] = {name: sizes[name] for name in ("capacity", "allocatable")}
    cpu, memory = (sizes.get("allocatable", {}).get(name, "") for name in ("cpu", "memory"))
    size = f" ({cpu} cpu, {memory} memory)" if cpu else ""
    return by_hand(f"join a machine as {node.name}{size}", {"apply": manifest}, touches=(node.key,))


def names(objects: Iterable[Key | Pod | PersistentVolumeClaim | PersistentVolume]) -> str:
    """Names in a title."""
    listed = [short(obj) for obj in objects]
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
