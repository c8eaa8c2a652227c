"""The namespace controller: empties a namespace that is being deleted, pods first (WL-108 to WL-113)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Condition, Namespace, Pod, set_condition
from simulator.api.kinds import KINDS, plural
from simulator.api.meta import Key, Object, evolve
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import (
    DONE,
    Delete,
    Enqueue,
    Flow,
    Get,
    Intent,
    ListLive,
    Patch,
    Poll,
    Refused,
    Remember,
    Tell,
    Told,
    UpdateStatus,
)
from simulator.units import MILLISECOND, SECOND, Micros

START_DELAY: Final[Micros] = 5 * SECOND
FINALIZER: Final = "kubernetes"
FINALIZERS_ESTIMATE: Final = 15
"""How long finalizers are expected to take, in seconds."""
_FIRST_RETRY: Final[Micros] = 5 * MILLISECOND
_LAST_RETRY: Final[Micros] = 60 * SECOND

NAMESPACED: Final = tuple(kind for kind, struct in KINDS.items() if struct.NAMESPACED and kind != "Pod")
"""What is deleted after the pods; Kubernetes' order is arbitrary."""


class Left(Struct, frozen=True):
    """What is left of one kind after its deletion.

    Attributes
    ----------
    estimate : seconds until it is expected to be gone.
    count : number of objects.
    finalizers : finalizer → on how many objects.
    failure : why it could not all be deleted.
    """

    kind: str
    estimate: int = 0
    count: int = 0
    finalizers: Mapping[str, int] = {}
    failure: str = ""


class Failed(Struct, frozen=True):
    """The deletion of a namespace has failed so many times in a row."""

    namespace: str
    times: int


class Memory:
    """How often each namespace has failed in a row."""

    __slots__ = ("failures",)

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}

    def copy(self) -> Memory:
        """A copy."""
        twin = Memory()
        twin.failures = dict(self.failures)
        return twin


class NamespaceController:
    """The namespace controller."""

    name = "namespace-controller"
    queues: Mapping[str, int] = {"namespaces": 10}
    watches = frozenset({"Namespace"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> Memory:
        """Nothing has failed."""
        return Memory()

    def check(self, poll: Poll, view: View) -> Any:
        """The controller polls nothing."""
        return None

    def remember(self, memory: Memory, what: Failed, now: Micros) -> None:
        """Count a failure, or forget all."""
        if what.times:
            memory.failures[what.namespace] = what.times
        else:
            memory.failures.pop(what.namespace, None)

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Look at a namespace 5 s after each change while it is being deleted."""
        if change.new is None or not change.new.metadata.is_terminating:
            return ()
        return (Enqueue("namespaces", change.key, START_DELAY),)

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Empty the namespace, as far as that goes now."""
        failures = view.memory.failures.get(key.name, 0)
        now = view.now
        if view.get(key) is None:
            return DONE
        namespace = yield Get(key)
        if not isinstance(namespace, Namespace) or not namespace.metadata.is_terminating:
            return DONE
        if FINALIZER not in namespace.spec.finalizers:
            return DONE
        left = yield from _delete_content(namespace, now)
        conditions = conditions_of(namespace.status.conditions, left, now)
        if conditions != namespace.status.conditions:
            status = evolve(namespace.status, conditions=conditions)
            answer = yield UpdateStatus(evolve(namespace, status=status), "WL-112")
            if not isinstance(answer, Refused):
                namespace = answer
        if any(one.failure for one in left):  # WL-110: stuck; the back-off of this queue ends at 60 s
            yield Tell(Remember(Failed(key.name, failures + 1)))
            yield Tell(Enqueue("namespaces", key, min(_FIRST_RETRY << min(failures, 20), _LAST_RETRY)))
            return DONE
        yield Tell(Remember(Failed(key.name, 0)))
        estimate = max((one.estimate for one in left), default=0)
        if estimate > 0:
            yield Tell(Enqueue("namespaces", key, (estimate // 2 + 1) * SECOND))
            return DONE
        answer = yield Patch(key, finalized, (), uid=namespace.metadata.uid, rule="WL-109")
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            yield Tell(Enqueue("namespaces", key, _FIRST_RETRY))
        return DONE


def finalized(namespace: Namespace) -> Namespace:
    """The namespace without this controller's finalizer."""
    kept = tuple(name for name in namespace.spec.finalizers if name != FINALIZER)
    return evolve(namespace, spec=evolve(namespace.spec, finalizers=kept))


def _delete_content(namespace: Namespace, now: Micros) -> Generator[Intent, Any, list[Left]]:
    """All pods, then all else, claims too (WL-107); while a pod remains, nothing else is touched (WL-109)."""
    name = namespace.metadata.name
    begun = namespace.metadata.deletion_timestamp or now
    pods = yield ListLive("Pod", name)
    estimate = _graces(pods)
    if now - begun >= estimate * SECOND:
        estimate = 0
    left = [(yield from _delete_kind("Pod", pods, name, estimate))]
    if left[0].count:
        return left
    for kind in NAMESPACED:
        found = yield ListLive(kind, name)
        if found:
            left.append((yield from _delete_kind(kind, found, name, 0)))
    return left


def _graces(pods: Iterable[Pod]) -> int:
    """The longest grace period among the pods that have not ended, in seconds (WL-110)."""
    return max((pod.spec.termination_grace_period_seconds or 0 for pod in pods if not pod.is_finished), default=0)


def _delete_kind(
    kind: str, found: Sequence[Object], namespace: str, estimate: int
) -> Generator[Intent, Any, Left]:
    for obj in found:
        answer = yield Delete(obj.key, propagation="Background", rule="WL-109")
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            return Left(kind, estimate, len(found), failure=str(answer))
    remaining = (yield ListLive(kind, namespace)) if found else ()
    finalizers: dict[str, int] = {}
    for obj in remaining:
        for name in obj.metadata.finalizers:
            finalizers[name] = finalizers.get(name, 0) + 1
    if remaining and estimate == 0:
        if not finalizers:
            group, _, version = KINDS[kind].API_VERSION.rpartition("/")
            resource = f"{group}/{version}, Resource={plural(kind)}"
            failure = f"unexpected items still remain in namespace: {namespace} for gvr: {resource}"
            return Left(kind, 0, len(remaining), finalizers, failure)
        estimate = FINALIZERS_ESTIMATE
    return Left(kind, estimate if remaining else 0, len(remaining), finalizers)


# --- conditions -----------------------------------------------------------------------------------------------------

_FINE: Final = (
    Condition(type="NamespaceDeletionDiscoveryFailure", status="False", reason="ResourcesDiscovered",
              message="All resources successfully discovered"),
    Condition(type="NamespaceDeletionGroupVersionParsingFailure", status="False", reason="ParsedGroupVersions",
              message="All legacy kube types successfully parsed"),
    Condition(type="NamespaceDeletionContentFailure", status="False", reason="ContentDeleted",
              message="All content successfully deleted, may be waiting on finalization"),
    Condition(type="NamespaceContentRemaining", status="False", reason="ContentRemoved",
              message="All content successfully removed"),
    Condition(type="NamespaceFinalizersRemaining", status="False", reason="ContentHasNoFinalizers",
              message="All content-preserving finalizers finished"),
)


def conditions_of(before: tuple[Condition, ...], left: Sequence[Left], now: Micros) -> tuple[Condition, ...]:
    """The namespace's conditions with what is left in it (WL-112, WL-113)."""
    failures = [one.failure for one in left if one.failure]
    others = [one for one in left if one.count and one.kind != "Pod"]
    finalizers: dict[str, int] = {}
    for one in others:
        for name, count in one.finalizers.items():
            finalizers[name] = finalizers.get(name, 0) + count
    bad = {}
    if failures:
        message = f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(failures)}"
        bad["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
    if others:
        counts = ", ".join(sorted(f"{_resource(one.kind)} has {one.count} resource instances" for one in others))
        bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {counts}")
    if finalizers:
        counts = ", ".join(f"{name} in {finalizers[name]} resource instances" for name in sorted(finalizers))
        message = f"Some content in the namespace has finalizers remaining: {counts}"
        bad["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    conditions = before
    for fine in _FINE:
        if fine.type in bad:
            reason, message = bad[fine.type]
            conditions = set_condition(
                conditions, Condition(type=fine.type, status="True", reason=reason, message=message), now
            )
        else:
            conditions = set_condition(conditions, fine, now)
    return conditions


def _resource(kind: str) -> str:
    """Resource and group of a kind, as the messages have them: ``pods.``, ``statefulsets.apps``."""
    return f"{plural(kind)}.{KINDS[kind].API_VERSION.rpartition('/')[0]}"
