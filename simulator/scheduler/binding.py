"""The binding cycle: volumes first, then the pod; any number run at once (SC-101 to SC-108, VB-145 to VB-155)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import affinity_matches, is_fully_bound
from simulator.cluster.component import View
from simulator.flows import DONE, Bind, Flow, Patch, Poll, Refused, Remember, Spawn, Tell, TimedOut, Update
from simulator.scheduler.assumptions import Assumable
from simulator.scheduler.failure import Failure, event, fail, with_nomination
from simulator.scheduler.memory import Landed, Memory, PreBinding, Unreserved
from simulator.scheduler.records import QueuedPod
from simulator.units import SECOND, Micros

BINDING: Final = "binding"
FAILED: Final = "failed-binding"
CLAIMS_BOUND: Final = "claims-bound"
BOUND: Final = ""
"""What the check says when all is bound; anything else is an error."""

_PRE_BIND: Final = 'running PreBind plugin "VolumeBinding": '
_PREEMPTED: Final = "preempted by DefaultPreemption"


class BindingPlan(Struct, frozen=True):
    """A pod that has been given a node.

    Attributes
    ----------
    pod : as assumed, with the node as its ``nodeName``.
    record : of the queue.
    writes : volumes, then claims, as they are to be written (VB-146); nothing if all claims are bound.
    claims : the claims of the volumes in `writes`, in the same order.
    """

    pod: Pod
    record: QueuedPod
    writes: tuple[Assumable, ...] = ()
    claims: tuple[Key, ...] = ()


class Waiting(Struct, frozen=True):
    """What a binding cycle waits for.

    Attributes
    ----------
    uid, pod, node : whose volumes they are, by key, and where.
    static : volumes with the version that was written, each with its claim.
    provisioned : claims with the version that was written.
    """

    uid: str
    pod: Key
    node: str
    static: tuple[tuple[str, int, Key], ...]
    provisioned: tuple[tuple[Key, int], ...]


class FailedBinding(Struct, frozen=True):
    """A binding cycle that has failed.

    Attributes
    ----------
    pod : as last seen by it.
    objects : what was assumed, or is stored where it has been written.
    """

    plan: BindingPlan
    pod: Pod
    objects: tuple[Assumable, ...]
    message: str


def bind(plan: BindingPlan, view: View, timeout: Micros) -> Flow:
    """Write what Reserve has assumed, wait until it is bound, and bind the pod (SC-101)."""
    pod = plan.pod
    key, uid, node = pod.key, pod.metadata.uid, pod.spec.node_name
    seen = plan.record.pod
    objects = list(plan.writes)

    def failed(message: str) -> Tell:
        return Tell(Spawn(FAILED, key, FailedBinding(plan, seen, tuple(objects), message)))

    # SC-102: without anything to write, the pod's own Binding is the only call.
    if plan.writes and seen.status.nominated_node_name != node:
        answer = yield Patch(key, with_nomination, (node,), subresource="status", rule="SC-101")
        if not isinstance(answer, Refused):  # it is only advice
            seen = answer
    yield Tell(Remember(Landed(uid)))
    if plan.writes:
        yield Tell(Remember(PreBinding(uid)))
        for place, write in enumerate(plan.writes):  # VB-146
            answer = yield Update(write, rule="VB-146")
            if isinstance(answer, Refused):
                yield failed(f"{_PRE_BIND}{answer.message}")
                return DONE
            objects[place] = answer
        static = len(plan.claims)
        waiting = Waiting(
            uid, key, node,
            tuple((obj.metadata.name, obj.metadata.resource_version, claim)
                  for obj, claim in zip(objects, plan.claims, strict=False)),
            tuple((obj.key, obj.metadata.resource_version) for obj in objects[static:]),
        )
        outcome = yield Poll(CLAIMS_BOUND, waiting, SECOND, timeout)  # VB-147
        if isinstance(outcome, TimedOut):
            outcome = "binding volumes: context deadline exceeded"  # VB-152
        if outcome != BOUND:
            yield failed(f"{_PRE_BIND}{outcome}")
            return DONE
        yield Tell(Remember(PreBinding(uid, is_over=True)))
    answer = yield Bind(key, uid, node, rule="SC-103")
    if isinstance(answer, Refused):
        yield failed(f'running Bind plugin "DefaultBinder": {answer.message}')
        return DONE
    text = f"Successfully assigned {key.namespace}/{key.name} to {node}"
    yield event(pod, "Normal", "Scheduled", text)  # SC-128
    return DONE


def give_up(binding: FailedBinding, view: View) -> Flow:
    """Take back what was assumed, and let the pod try again after an error's back-off (SC-105, SC-106, VB-153)."""
    yield Tell(Remember(Unreserved(binding.plan.pod, binding.objects)))
    yield from fail(view, Failure(binding.pod, binding.message, record=binding.plan.record))
    return DONE


def check_claims(waiting: Waiting, view: View) -> str | None:
    """Whether everything is bound: None to wait on, `BOUND`, or an error (VB-148, VB-149)."""
    memory: Memory = view.memory
    if memory.prebinding.get(waiting.uid):
        return _PREEMPTED  # SC-113
    node = view.get(Node, waiting.node)
    if node is None:
        return f'binding volumes: failed to get node "{waiting.node}": node "{waiting.node}" not found'
    pod = view.get(Pod, waiting.pod.name, waiting.pod.namespace)
    if pod is None or pod.is_finished:  # VB-151: by name
        return f'binding volumes: pod does not exist any more: pod "{waiting.pod.name}" not found'
    problem = _check_static(waiting, node, view)
    if problem == BOUND:
        problem = _check_provisioned(waiting, node, view)
    return f"binding volumes: {problem}" if problem else problem


def _check_static(waiting: Waiting, node: Node, view: View) -> str | None:
    for name, version, claim_key in waiting.static:
        volume = view.get(PersistentVolume, name)
        if volume is None:
            return f'failed to check binding: persistentvolumes "{name}" not found'
        claim = view.get(PersistentVolumeClaim, claim_key.name, claim_key.namespace)
        if claim is None:
            return f'failed to check binding: {_no_claim(claim_key)}'
        if volume.metadata.resource_version < version:
            return None
        if not affinity_matches(volume, node.metadata.labels):
            return _mismatch(volume, node)
        reference = volume.spec.claim_ref
        if reference is None or not reference.uid:
            return f'ClaimRef got reset for pv "{name}"'
        if not is_fully_bound(claim):  # VB-150: be it to another volume
            return None
    return BOUND


def _check_provisioned(waiting: Waiting, node: Node, view: View) -> str | None:
    for key, version in waiting.provisioned:
        claim = view.get(PersistentVolumeClaim, key.name, key.namespace)
        if claim is None:
            return f"failed to check provisioning pvc: {_no_claim(key)}"
        if claim.metadata.resource_version < version:
            return None
        if not claim.metadata.annotations:
            return f'selectedNode annotation reset for PVC "{key.name}"'
        if claim.metadata.annotations.get(SELECTED_NODE, "") != waiting.node:
            return f'provisioning failed for PVC "{key.name}"'
        if claim.spec.volume_name:
            volume = view.get(PersistentVolume, claim.spec.volume_name)
            if volume is None:
                return None
            if not affinity_matches(volume, node.metadata.labels):
                return _mismatch(volume, node)
        if not is_fully_bound(claim):
            return None
    return BOUND


def _no_claim(key: Key) -> str:
    return f'persistentvolumeclaims "{key.namespace}/{key.name}" not found'


def _mismatch(volume: PersistentVolume, node: Node) -> str:
    return (f'pv "{volume.metadata.name}" node affinity doesn\'t match node "{node.metadata.name}": '
            "no matching NodeSelectorTerms")
