"""Why an object that is being deleted is still there: who holds it, and what they wait for."""

from __future__ import annotations

from simulator.api.apps import StatefulSet
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object
from simulator.binding.names import PROTECTS_CLAIM, PROTECTS_VOLUME
from simulator.explanation.evidence import Evidence
from simulator.explanation.reason import Reason
from simulator.explanation.words import count, listing, place, short

_FOREGROUND = "foregroundDeletion"


def why_still_there(evidence: Evidence, obj: Object) -> Reason:
    """Why a terminating object has not gone."""
    held = f"{short(obj)} is being deleted, but"
    match obj:
        case Pod() if (waits := _pod(evidence, obj)) is not None:
            return Reason(obj.key, f"{short(obj)} is being deleted: {waits}", _behind(evidence, obj))
        case PersistentVolumeClaim() if PROTECTS_CLAIM in obj.metadata.finalizers:
            users = [short(pod) for pod in evidence.users_of(obj) if pod.spec.node_name]
            if users:  # VB-169
                verb = "uses" if len(users) == 1 else "use"
                return Reason(obj.key, f"{held} is kept while {listing(users)} {verb} it ({PROTECTS_CLAIM})")
        case PersistentVolume() if PROTECTS_VOLUME in obj.metadata.finalizers and obj.status.phase == "Bound":
            owner = obj.spec.claim_ref
            whose = f" to {place(owner.namespace, owner.name)}" if owner is not None else ""
            return Reason(obj.key, f"{held} is kept while it is bound{whose} ({PROTECTS_VOLUME})")  # VB-173
        case StatefulSet() if _FOREGROUND in obj.metadata.finalizers:
            left = _dependents(evidence, obj)
            if left:  # WL-93
                return Reason(obj.key, f"{held} waits for what it owns to go first: {listing(left)} ({_FOREGROUND})")
        case Namespace():
            left = _contents(evidence, obj.name)
            if left:  # WL-109
                return Reason(obj.key, f"{held} still holds {listing(left)}")
    finalizers = obj.metadata.finalizers
    if finalizers:
        noun, what = ("finalizer", "it") if len(finalizers) == 1 else ("finalizers", "them")
        own = all(name.startswith("kubernetes.io/") for name in finalizers)
        removed = "which Kubernetes has yet to take away" if own else f"and nobody has removed {what}"
        return Reason(obj.key, f"{held} is held by the {noun} {listing(finalizers)}, {removed}")
    return Reason(obj.key, f"{short(obj)} is being deleted")


def _pod(evidence: Evidence, pod: Pod) -> str | None:
    """WL-126, WL-127, WL-156: only the kubelet confirms."""
    if pod.metadata.finalizers:
        return None
    name = pod.spec.node_name
    if not name:
        return None
    node = evidence.state.get(Node, name)
    if node is None:
        return f"its node {name} no longer exists, and the pod garbage collector has yet to remove it"
    if is_down(node):
        return f"only the kubelet of {name} can say that it has stopped, and {name} is not ready"
    return f"it is stopping on {name}, for which it has {pod.metadata.deletion_grace_period_seconds or 0} s"


def _behind(evidence: Evidence, pod: Pod) -> tuple[Reason, ...]:
    node = evidence.state.get(Node, pod.spec.node_name)
    return (why_down(evidence, node),) if node is not None and is_down(node) else ()


def is_down(node: Node) -> bool:
    """Whether the node says, or is said, not to be ready."""
    ready = node.condition("Ready")
    return ready is not None and ready.status != "True"


def why_down(evidence: Evidence, node: Node) -> Reason:
    """Why a node is not ready."""
    ready = node.condition("Ready")
    said = ready.message if ready is not None else ""
    silent = " (the scenario stopped it)" if node.name in evidence.stopped else ""
    return Reason(node.key, f"{node.name} is not ready: {said or 'it does not say why'}{silent}")


def _dependents(evidence: Evidence, owner: Object) -> list[str]:
    uid = owner.metadata.uid
    found: list[str] = []
    for kind in (Pod, PersistentVolumeClaim):
        for obj in evidence.state.list(kind, owner.namespace):
            if any(ref.uid == uid and ref.block_owner_deletion for ref in obj.metadata.owner_references):
                found.append(short(obj))
    return found


def _contents(evidence: Evidence, namespace: str) -> list[str]:
    """What a namespace still holds, pods first; events go with it."""
    numbers = {kind: sum(key.namespace == namespace for key in evidence.state.keys(kind))
               for kind in ("Pod", *evidence.state.kinds()) if kind != "Event"}
    return [count(number, kind) for kind, number in numbers.items() if number]
