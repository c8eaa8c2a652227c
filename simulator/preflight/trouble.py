"""What does not hold together in the present cluster: things that point at things which the dump does not have.

A dump may be partial (a kind left out, one namespace, a label selector) or taken while things moved. Nothing is
guessed: it is taken as Kubernetes would take a cluster in this state, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object
from simulator.manifests.loader import Loaded
from simulator.preflight.result import Trouble

DUMP: Final = (
    "kubectl get nodes,sc,pv,pvc,sts,pods,pdb,csistoragecapacity,controllerrevisions,priorityclasses -A -o yaml")
"""What to dump for a preflight: all that has an effect, for most clusters."""

Seen = Iterator[tuple[Loaded, str]]
"""Objects with something strange, and what it points at, in words."""


class _Present:
    """The present cluster by kind and key."""

    def __init__(self, objects: Sequence[Loaded]) -> None:
        self.items = {item.obj.key: item for item in objects}
        self.kinds: dict[str, list[Loaded]] = {}
        for item in objects:
            self.kinds.setdefault(item.obj.KIND, []).append(item)

    def of(self, kind: type[Object]) -> list[Loaded]:
        return self.kinds.get(kind.KIND, [])

    def get(self, kind: type[Object], name: str, namespace: str = "") -> Any:
        found = self.items.get(Key(kind.KIND, namespace, name))
        return found.obj if found is not None else None


def troubles_of(objects: Sequence[Loaded]) -> Iterator[Trouble]:
    """Everything that is strange in a cluster's objects, each sort once with all objects that it concerns."""
    present = _Present([item for item in objects if item.obj.metadata.uid])
    if not present.items:
        return
    whole = _Present(objects)  # with nodes that were added
    yield from _left_out(present, whole)
    for kind, find, taken in _SORTS:
        found = list(find(whole))
        if found:
            names = tuple(str(item.obj.key) for item, _ in found)
            told = list(dict.fromkeys(what for _, what in found))
            yield Trouble(kind, names, str(found[0][0].origin), told[0] if len(told) == 1 else _many(found), taken)


def _many(found: Sequence[tuple[Loaded, str]]) -> str:
    """The first of several, and how many there are."""
    item, what = found[0]
    obj = item.obj
    name = f"{obj.namespace}/{obj.name}" if obj.namespace else obj.name
    more = f", and {len(found) - 1} more like this" if len(found) > 1 else ""
    return f"{obj.KIND} {name} {what}{more}"


def _left_out(present: _Present, whole: _Present) -> Iterator[Trouble]:
    """Kinds that the dump has not at all, though other objects say that the cluster has them."""
    if not whole.of(Node):
        where = str(next(iter(present.items.values())).origin)
        placed = any(isinstance(item.obj, Pod) and item.obj.spec.node_name for item in present.of(Pod))
        yield Trouble("no-nodes", (), where, f"the dump holds no node{', though pods run on some' if placed else ''}",
                      f"nothing can run anywhere; if the cluster has nodes, dump them too: {DUMP}", placed)
    used = any(pod.obj.claim_names for pod in present.of(Pod) if isinstance(pod.obj, Pod) and pod.obj.spec.node_name)
    bound = [item for item in present.of(PersistentVolume) if _phase(item.obj) == "Bound"]
    if not present.of(PersistentVolumeClaim) and (bound or used):
        where = str((bound or present.of(Pod))[0].origin)
        yield Trouble("no-claims", (), where, "the dump holds no claim, though volumes are bound or pods use claims",
                      f"bound volumes become Released, for their claims seem to be gone; dump claims too: {DUMP}", True)
    owned = [item for item in present.of(Pod) if (owner := item.obj.metadata.controller) is not None
             and owner.kind == StatefulSet.KIND]
    if owned and not present.of(StatefulSet):
        yield Trouble("no-sets", (), str(owned[0].origin), "the dump holds no StatefulSet, though pods belong to some",
                      f"the pods are deleted, for their sets seem to be gone; dump sets too: {DUMP}", True)
    held = [item for item in present.of(PersistentVolumeClaim) if _phase(item.obj) == "Bound"]
    if held and not present.of(PersistentVolume):
        yield Trouble("no-volumes", (), str(held[0].origin), "the dump holds no volume, though claims are bound",
                      f"the claims become Lost, for their volumes seem to be gone; dump volumes too: {DUMP}", True)


def _phase(obj: Object) -> str:
    status = getattr(obj, "status", None)
    return getattr(status, "phase", "") or ""


# --- one function a sort of trouble -----------------------------------------------------------------------------------


def _pods_on_missing_nodes(present: _Present) -> Seen:
    if not present.of(Node):
        return
    for item in present.of(Pod):
        assert isinstance(item.obj, Pod)
        node = item.obj.spec.node_name
        if node and not item.obj.is_finished and present.get(Node, node) is None:
            yield item, f"is on node {node}, which the dump does not have"


def _claims_of_missing_volumes(present: _Present) -> Seen:
    if not present.of(PersistentVolume):
        return
    for item in present.of(PersistentVolumeClaim):
        assert isinstance(item.obj, PersistentVolumeClaim)
        name = item.obj.spec.volume_name
        if name and _phase(item.obj) == "Bound" and present.get(PersistentVolume, name) is None:
            yield item, f"is bound to volume {name}, which the dump does not have"


def _volumes_of_missing_claims(present: _Present) -> Seen:
    if not present.of(PersistentVolumeClaim):
        return
    for item in present.of(PersistentVolume):
        assert isinstance(item.obj, PersistentVolume)
        reference = item.obj.spec.claim_ref
        if reference is None or not reference.uid or _phase(item.obj) != "Bound":
            continue
        claim = present.get(PersistentVolumeClaim, reference.name, reference.namespace)
        if claim is None:
            yield item, f"is bound to claim {reference.namespace}/{reference.name}, which the dump does not have"
        elif claim.metadata.uid != reference.uid:
            there = f"{reference.namespace}/{reference.name}"
            yield item, f"is bound to claim {there} of another uid than the one in the dump"


def _pairs_that_disagree(present: _Present) -> Seen:
    for item in present.of(PersistentVolumeClaim):
        assert isinstance(item.obj, PersistentVolumeClaim)
        volume = present.get(PersistentVolume, item.obj.spec.volume_name) if item.obj.spec.volume_name else None
        if volume is None or _phase(item.obj) != "Bound":
            continue
        reference = volume.spec.claim_ref
        if reference is None:
            yield item, f"is bound to volume {volume.name}, which refers to no claim"
        elif (reference.namespace, reference.name) != (item.obj.namespace, item.obj.name):
            yield item, (f"is bound to volume {volume.name}, which refers to claim {reference.namespace}/"
                         f"{reference.name}")


def _pods_of_missing_claims(present: _Present) -> Seen:
    if not present.of(PersistentVolumeClaim):
        return
    for item in present.of(Pod):
        assert isinstance(item.obj, Pod)
        if item.obj.is_finished or not item.obj.spec.node_name:
            continue
        for name in item.obj.claim_names:
            if present.get(PersistentVolumeClaim, name, item.obj.namespace) is None:
                yield item, f"uses claim {name}, which the dump does not have"


def _without_their_owner(present: _Present) -> Seen:
    for item in present.items.values():
        for owner in item.obj.metadata.owner_references:
            kind = KINDS.get(owner.kind)
            if kind is None or kind.API_VERSION.partition("/")[0] != owner.api_version.partition("/")[0]:
                continue  # of a kind that is not simulated: it counts as living
            there = present.get(kind, owner.name, item.obj.namespace if kind.NAMESPACED else "")
            if there is None:
                yield item, f"belongs to {owner.kind} {owner.name}, which the dump does not have"
            elif there.metadata.uid != owner.uid:
                yield item, f"belongs to a {owner.kind} {owner.name} of another uid than the one in the dump"


def _without_status(present: _Present) -> Seen:
    for item in present.items.values():
        obj = item.obj
        if not obj.metadata.uid:
            continue
        if isinstance(obj, Node):
            if not obj.status.conditions or not (obj.status.allocatable or obj.status.capacity):
                yield item, "has no conditions or no capacity in its status"
        elif isinstance(obj, StatefulSet):
            if not obj.status.update_revision and not obj.status.observed_generation:
                yield item, "has no status"
        elif isinstance(obj, (Pod, PersistentVolume, PersistentVolumeClaim)) and not obj.status.phase:
            yield item, "has no status"


def _pods_that_run_and_are_not_ready(present: _Present) -> Seen:
    for item in present.of(Pod):
        pod = item.obj
        assert isinstance(pod, Pod)
        if not pod.spec.node_name or pod.is_finished or pod.metadata.is_terminating or pod.is_ready:
            continue
        reason = next((each.state.waiting.reason for each in pod.status.container_statuses
                       if each.state is not None and each.state.waiting is not None), "")
        if pod.status.phase == "Running" or reason not in ("", "ContainerCreating", "PodInitializing"):
            yield item, f"is not ready{f' ({reason})' if reason else ''}"


def _behind(present: _Present) -> Seen:
    for item in present.of(StatefulSet):
        sts = item.obj
        assert isinstance(sts, StatefulSet)
        if sts.status.observed_generation and sts.status.observed_generation < sts.metadata.generation:
            yield item, "has been changed since its controller last looked at it"


_Find = Callable[[_Present], Iterable[tuple[Loaded, str]]]

_SORTS: Final[tuple[tuple[str, _Find, str], ...]] = (
    ("pod-on-missing-node", _pods_on_missing_nodes,
     "taken as Kubernetes takes it: the node is gone, so the pod is deleted, and its set makes another; if the node is "
     "there, dump it too"),
    ("claim-of-missing-volume", _claims_of_missing_volumes,
     "taken as Kubernetes takes it: the claim has lost its volume (phase Lost)"),
    ("volume-of-missing-claim", _volumes_of_missing_claims,
     "taken as Kubernetes takes it: the claim is gone, so the volume is Released; if the claim is there, dump the "
     "claims of all namespaces (-A)"),
    ("claim-and-volume-disagree", _pairs_that_disagree, "taken as Kubernetes takes it: the volume's reference counts"),
    ("pod-of-missing-claim", _pods_of_missing_claims,
     "the pod keeps running; made again, it would wait for the claim"),
    ("owner-missing", _without_their_owner,
     "taken as Kubernetes takes it: the owner is gone, so the garbage collector deletes it; if the owner is there, "
     "dump it too"),
    ("no-status", _without_status,
     "nodes count as Ready, with a stated capacity; all else as just created, and as its controllers find it"),
    ("not-ready", _pods_that_run_and_are_not_ready,
     "why cannot be told from a dump: it is taken to stay so"),
    ("not-observed-yet", _behind, "the controller looks at it as soon as the run begins"),
)
