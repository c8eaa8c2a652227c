"""Protection of storage objects in use: takes the finalizers of deleted claims, volumes and attribute classes away.

Deleting a claim, a volume or a VolumeAttributesClass only marks it while its finalizer is there (VB-169, VB-173,
VB-176). Kubernetes has three small controllers for that; here they are the three queues of one component.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object, with_meta
from simulator.binding.names import PROTECTS_ATTRIBUTES_CLASS, PROTECTS_CLAIM, PROTECTS_VOLUME
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.volume_writes import Steps
from simulator.flows import DONE, Enqueue, Flow, ListLive, Outcome, Poll, Refused, Retry, Told, Update
from simulator.units import Micros

_FINALIZERS: Final = {
    "PersistentVolumeClaim": PROTECTS_CLAIM,
    "PersistentVolume": PROTECTS_VOLUME,
    "VolumeAttributesClass": PROTECTS_ATTRIBUTES_CLASS,
}


class ProtectionController:
    """The component ``protection``: pvc-, pv- and vac-protection."""

    name = "protection"
    queues: Mapping[str, int] = {"PersistentVolumeClaim": 1, "PersistentVolume": 1, "VolumeAttributesClass": 1}
    watches = frozenset({"PersistentVolumeClaim", "PersistentVolume", "VolumeAttributesClass", "Pod"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> None:
        """It remembers nothing."""

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Queue what may have lost its last user (VB-172)."""
        if change.key.kind == "Pod":
            return _after_pod(change, view)
        if change.key.kind == "VolumeAttributesClass":
            return (Enqueue(change.key.kind, change.key),) if _needs_a_look(change.new) else ()
        told = [Enqueue(change.key.kind, change.key)] if _needs_a_look(change.new) else []
        let_go = _classes_of(change.old) if change.old is not None else ()
        if let_go:
            kept = _classes_of(change.new) if change.new is not None else ()
            told += [_look_at_class(name) for name in let_go if name not in kept]
        return told

    def remember(self, memory: Any, what: Any, now: Micros) -> None:
        """It remembers nothing."""

    def check(self, poll: Poll, view: View) -> Any:
        """It polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow for one object; the queue bears the name of its kind."""
        obj = view.get(key)
        if obj is None or not _needs_a_look(obj):
            return DONE
        finalizer = _FINALIZERS[key.kind]
        if not obj.metadata.is_terminating:
            # admission adds it (VB-14); this is for objects that came without, or lost it
            return (yield from _save(obj, (*obj.metadata.finalizers, finalizer), "VB-14"))
        if isinstance(obj, PersistentVolumeClaim):  # deleted by hand, by policy or with its namespace (WL-105..107)
            if any(holds(pod, obj) for pod in view.by("pods-by-claim", (key.namespace, key.name))):
                return DONE  # VB-169
            # the cache may be behind: only a live list tells that nobody has been scheduled meanwhile (ND-27)
            live = yield ListLive("Pod", key.namespace)
            if any(holds(pod, obj) for pod in live):
                return DONE
            rule = "VB-169"
        elif isinstance(obj, PersistentVolume):
            if obj.status.phase == "Bound":
                return DONE  # VB-173, WL-103
            rule = "VB-173"
        else:
            if _is_class_in_use(view, obj.name):
                return DONE  # VB-176
            rule = "VB-176"
        return (yield from _save(obj, tuple(kept for kept in obj.metadata.finalizers if kept != finalizer), rule))


def holds(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Whether a pod keeps a deleted claim: only if it has been given a node, whatever its phase (VB-169 to VB-171).

    A claim of an unscheduled pod goes almost at once, that of a pod on a dead node stays with it (WL-101, WL-102).
    """
    if not pod.spec.node_name:
        return False
    is_shut_down = pod.metadata.is_terminating and pod.metadata.deletion_grace_period_seconds == 0
    for volume in pod.spec.volumes:
        source = volume.persistent_volume_claim
        if source is not None and source.claim_name == claim.name:
            return True
        if volume.ephemeral is not None and f"{pod.name}-{volume.name}" == claim.name and not is_shut_down:  # VB-170
            owner = claim.metadata.controller
            if owner is not None and owner.uid == pod.metadata.uid:
                return True
    return False


def _needs_a_look(obj: Object | None) -> bool:
    """Whether an object is deleted and has its finalizer, or is not and has none."""
    if obj is None:
        return False
    return obj.metadata.is_terminating == (_FINALIZERS[obj.KIND] in obj.metadata.finalizers)


def _after_pod(change: Change, view: View) -> Iterable[Told]:
    """The claims of a pod that is gone, has not been scheduled, or has ended: they may be free now (VB-172)."""
    old, new = change.old, change.new
    if isinstance(new, Pod):
        if not new.spec.node_name or _has_ended(new):
            yield from _claims_of(new, view)
        if isinstance(old, Pod) and old.metadata.uid != new.metadata.uid:  # one pod gone, another of its name come
            yield from _claims_of(old, view)
    elif isinstance(old, Pod):
        yield from _claims_of(old, view)


def _claims_of(pod: Pod, view: View) -> Iterable[Told]:
    """The claims that a pod uses and that need a look; one whose deletion is not seen yet is queued when it is."""
    for name in pod.claim_names:
        key = Key("PersistentVolumeClaim", pod.namespace, name)
        if _needs_a_look(view.get(key)):
            yield Enqueue(key.kind, key)


def _has_ended(pod: Pod) -> bool:
    """Succeeded, Failed, or deleting with no container running."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return True
    return pod.metadata.is_terminating and not any(
        status.state is not None and status.state.running is not None for status in pod.status.container_statuses
    )


def _classes_of(obj: Object) -> tuple[str, ...]:
    """The VolumeAttributesClasses that a claim or a volume refers to."""
    wanted = current = None
    if isinstance(obj, PersistentVolume):
        wanted = obj.spec.volume_attributes_class_name
    elif isinstance(obj, PersistentVolumeClaim):
        wanted, current = obj.spec.volume_attributes_class_name, obj.status.current_volume_attributes_class_name
    if not wanted and not current:  # nearly always
        return ()
    return tuple(dict.fromkeys(name for name in (wanted, current) if name))


def _look_at_class(name: str) -> Enqueue:
    return Enqueue("VolumeAttributesClass", Key("VolumeAttributesClass", "", name))


def _is_class_in_use(view: View, name: str) -> bool:
    """Whether any claim or volume refers to the class; only the cache is asked (VB-176)."""
    return any(name in _classes_of(claim) for claim in view.list(PersistentVolumeClaim)) or any(
        name in _classes_of(volume) for volume in view.list(PersistentVolume)
    )


def _save(obj: Object, finalizers: tuple[str, ...], rule: str) -> Steps[Outcome]:
    answer = yield Update(with_meta(obj, finalizers=finalizers), rule)
    if isinstance(answer, Refused) and answer.reason != "NotFound":
        return Retry(str(answer))
    return DONE
