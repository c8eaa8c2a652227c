"""The disruption controller: how many pods each budget lets go (WL-143, WL-144)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.apps import StatefulSet
from simulator.api.core import Condition, Pod, set_condition
from simulator.api.meta import Key, evolve
from simulator.api.policy import PodDisruptionBudget, PodDisruptionBudgetStatus
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import DONE, Emit, Enqueue, Flow, Patch, Poll, Refused, Retry, Tell, Told, UpdateStatus
from simulator.units import MINUTE, Micros

SOURCE: Final = "controllermanager"
TIMEOUT: Final[Micros] = 2 * MINUTE
"""How long an eviction, or a pod's announced disruption, is waited for."""
BUDGETS: Final = "budgets"
STALE: Final = "stale"


class Disruption:
    """The disruption controller."""

    name = "disruption-controller"
    queues: Mapping[str, int] = {BUDGETS: 1, STALE: 1}
    watches = frozenset({"PodDisruptionBudget", "Pod", "StatefulSet"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> None:
        """All that counts is in the budgets' status."""

    def check(self, poll: Poll, view: View) -> Any:
        """The controller polls nothing."""
        return None

    def remember(self, memory: None, what: Any, now: Micros) -> None:
        """There is nothing to remember."""

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Budgets that change, and the budget of each pod that changes in a way that counts."""
        kind = change.key.kind
        if kind == "PodDisruptionBudget":
            return (Enqueue(BUDGETS, change.key),) if change.new is not None else ()
        if kind != "Pod":
            return ()
        new = change.new if isinstance(change.new, Pod) else None
        old = change.old if isinstance(change.old, Pod) else None
        told: list[Told] = []
        if new is not None and (since := _stale_since(new)) is not None:
            told.append(Enqueue(STALE, change.key, max(0, since + TIMEOUT - view.now)))
        if new is not None and old is not None and _counts_as(new) == _counts_as(old):
            return told
        budgets = view.list(PodDisruptionBudget, change.key.namespace)
        if not budgets:
            return told
        for pod in (old, new):
            if pod is None or (pod is old and new is not None and old.metadata.labels == new.metadata.labels):
                continue
            matching = [budget for budget in budgets if _selects(budget, pod)]
            if len(matching) > 1:
                text = (f'Pod "{change.key.namespace}"/"{change.key.name}" matches multiple PodDisruptionBudgets.  '
                        f'Chose "{matching[0].metadata.name}" arbitrarily.')
                told.append(Emit(change.key, "Warning", "MultiplePodDisruptionBudgets", text, SOURCE))
            if matching:
                told.append(Enqueue(BUDGETS, matching[0].key))
        return told

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Work out a budget's status, or take back a disruption that did not come."""
        if queue == STALE:
            return (yield from _unmark(key, view))
        budget = view.get(key)
        if not isinstance(budget, PodDisruptionBudget):
            return DONE
        now = view.now
        pods = [pod for pod in view.list(Pod, key.namespace) if _selects(budget, pod)]
        if not pods:
            yield Tell(Emit(key, "Normal", "NoPods", "No matching pods found", SOURCE))
        counted = expected_and_desired(budget, pods, view)
        if isinstance(counted, str):
            text = f"Failed to calculate the number of expected pods: {counted}"
            yield Tell(Emit(key, "Warning", "CalculateExpectedPodCountFailed", text, SOURCE))
            yield from _write(budget, _failed(budget, counted, now))
            return Retry(counted)
        disrupted, overdue, recheck = pending_disruptions(budget, pods, now)
        for name in overdue:
            text = f"Pod was expected by PDB {key.namespace}/{key.namespace} to be deleted but it wasn't"
            yield Tell(Emit(Key("Pod", key.namespace, name), "Warning", "NotDeleted", text, SOURCE))
        status = status_of(budget, pods, *counted, disrupted, now)
        answer = yield from _write(budget, status)
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            return Retry(str(answer))
        if recheck is not None:
            yield Tell(Enqueue(BUDGETS, key, recheck - now))
        return DONE


def _selects(budget: PodDisruptionBudget, pod: Pod) -> bool:
    selector = budget.spec.selector
    return selector is not None and selector.selects(pod.metadata.labels)


def _counts_as(pod: Pod) -> tuple[Any, ...]:
    """Everything of a pod that a budget's status depends on."""
    meta = pod.metadata
    return (pod.is_ready, meta.deletion_timestamp is None, meta.labels, meta.owner_references, meta.uid)


# --- a budget's status ----------------------------------------------------------------------------------------------


def expected_and_desired(budget: PodDisruptionBudget, pods: Sequence[Pod], view: View) -> tuple[int, int] | str:
    """How many pods there should be, and how many of them healthy; or why that cannot be said (WL-143)."""
    spec = budget.spec
    if spec.max_unavailable is None and isinstance(spec.min_available, int):
        return len(pods), spec.min_available
    expected = _scale(pods, view)
    if isinstance(expected, str):
        return expected
    if spec.max_unavailable is not None:
        return expected, max(0, expected - _amount(spec.max_unavailable, expected))
    if spec.min_available is not None:
        return expected, _amount(spec.min_available, expected)
    return expected, 0


def _amount(value: int | str, total: int) -> int:
    """A number, or a percentage of the total, rounded up."""
    if isinstance(value, int):
        return value
    return -(-int(value.removesuffix("%")) * total // 100)


def _scale(pods: Sequence[Pod], view: View) -> int | str:
    """Replicas wanted by the pods' controllers; a controller that is not simulated wants the pods that it has."""
    total = 0
    known: dict[str, bool] = {}
    for pod in pods:
        owner = pod.metadata.controller
        if owner is None:
            continue
        if owner.kind != "StatefulSet":
            total += 1
        elif owner.uid not in known:
            found = view.get(StatefulSet, owner.name, pod.metadata.namespace)
            if found is None or found.metadata.uid != owner.uid:
                return f'found no controllers for pod "{pod.metadata.name}"'
            known[owner.uid] = True
            total += found.replicas
    return total


def pending_disruptions(
    budget: PodDisruptionBudget, pods: Sequence[Pod], now: Micros
) -> tuple[dict[str, Micros], list[str], Micros | None]:
    """Evictions that were granted and have not begun yet.

    Returns
    -------
    Those still waited for, the names of the pods that were waited for too long, and when to look again.
    """
    there = {pod.metadata.name: pod for pod in pods}
    waited: dict[str, Micros] = {}
    overdue: list[str] = []
    for name, since in budget.status.disrupted_pods.items():
        pod = there.get(name)
        if pod is None or pod.metadata.is_terminating:
            continue
        if since + TIMEOUT < now:
            overdue.append(name)
        else:
            waited[name] = since
    recheck = min(waited.values()) + TIMEOUT + 1 if waited else None
    return waited, overdue, recheck


def status_of(
    budget: PodDisruptionBudget, pods: Sequence[Pod], expected: int, desired: int, disrupted: Mapping[str, Micros],
    now: Micros,
) -> PodDisruptionBudgetStatus:
    """The budget's status (WL-143, WL-144)."""
    healthy = sum(
        1 for pod in pods
        if pod.is_ready and not pod.metadata.is_terminating and pod.metadata.name not in disrupted
    )
    allowed = max(0, healthy - desired) if expected > 0 else 0
    generation = budget.metadata.generation
    condition = Condition(
        type="DisruptionAllowed", status="True" if allowed else "False",
        reason="SufficientPods" if allowed else "InsufficientPods", observed_generation=generation,
    )
    return PodDisruptionBudgetStatus(
        observed_generation=generation, disrupted_pods=dict(disrupted), disruptions_allowed=allowed,
        current_healthy=healthy, desired_healthy=desired, expected_pods=expected,
        conditions=set_condition(budget.status.conditions, condition, now),
    )


def _failed(budget: PodDisruptionBudget, why: str, now: Micros) -> PodDisruptionBudgetStatus:
    """The status of a budget that cannot be worked out: it allows nothing."""
    condition = Condition(
        type="DisruptionAllowed", status="False", reason="SyncFailed", message=why,
        observed_generation=budget.metadata.generation,
    )
    conditions = set_condition(budget.status.conditions, condition, now)
    return evolve(budget.status, disruptions_allowed=0, conditions=conditions)


def _write(budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> Any:
    if status == budget.status:
        return budget
    return (yield UpdateStatus(evolve(budget, status=status), "WL-143"))


# --- disruptions that did not come ----------------------------------------------------------------------------------


def _stale_since(pod: Pod) -> Micros | None:
    """Since when a pod is said to be disrupted without being deleted; the kubelet's own word does not grow stale."""
    if pod.metadata.is_terminating or pod.is_finished:
        return None
    target = pod.condition("DisruptionTarget")
    if target is None or target.status != "True" or target.reason == "TerminationByKubelet":
        return None
    return target.last_transition_time or 0


def undisrupted(pod: Pod, now: Micros) -> Pod:
    """The pod without its announced disruption."""
    conditions = set_condition(pod.status.conditions, Condition(type="DisruptionTarget", status="False"), now)
    return evolve(pod, status=evolve(pod.status, conditions=conditions))


def _unmark(key: Key, view: View) -> Flow:
    pod = view.get(key)
    since = _stale_since(pod) if isinstance(pod, Pod) else None
    if not isinstance(pod, Pod) or since is None:
        return DONE
    if view.now < since + TIMEOUT:
        yield Tell(Enqueue(STALE, key, since + TIMEOUT - view.now))
        return DONE
    answer = yield Patch(key, undisrupted, (view.now,), "status", pod.metadata.uid, "WL-144")
    if isinstance(answer, Refused) and answer.reason != "NotFound":
        return Retry(str(answer))
    return DONE
