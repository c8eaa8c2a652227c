"""Preemption: where lower-priority pods could make room, which of them, and which node is best (SC-109 to SC-112).

A dry run: nothing is evicted here, and nothing is drawn. Nodes that are equally good are all named; the caller chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.core import Pod, find_condition
from simulator.api.policy import PodDisruptionBudget
from simulator.scheduler.decision import Nominations, Prepared, run_filters, with_nominations
from simulator.scheduler.framework import SUCCESS, Code, NodeInfo, Snapshot, Status, error
from simulator.scheduler.messages import NEVER_PREEMPTS, NO_VICTIMS, VICTIM_TERMINATING
from simulator.units import Micros

PLUGIN: Final = "DefaultPreemption"
NEVER: Final = "Never"
DISRUPTION_TARGET: Final = "DisruptionTarget"
BY_SCHEDULER: Final = "PreemptionByScheduler"
NOBODY: Final[Nominations] = {}
LEAST_CANDIDATES: Final = 100
_PRIORITY_SHIFT: Final = 1 << 31


class Candidate(Struct, frozen=True):
    """A node where evicting `victims` would let the pod in.

    Attributes
    ----------
    victims : the most important first.
    violations : how many of them a disruption budget wanted to keep.
    """

    node: str
    victims: tuple[Pod, ...]
    violations: int = 0


class DryRun(Struct, frozen=True):
    """Candidates, in the order tried, and why the other nodes that were tried are none."""

    candidates: tuple[Candidate, ...] = ()
    statuses: dict[str, Status] = {}
    failure: Status | None = None


def ineligible(pod: Pod, snapshot: Snapshot, statuses: Mapping[str, Status]) -> str:
    """Why the pod may not preempt now, in Kubernetes' words; "" if it may (SC-110).

    Parameters
    ----------
    pod : as it is now, not as it was when the attempt began.
    snapshot : what the attempt saw.
    statuses : the answers of this attempt, by node; that of the nominated node must be there if PreFilter left it out.
    """
    if pod.spec.preemption_policy == NEVER:
        return NEVER_PREEMPTS
    name = pod.status.nominated_node_name
    refused = statuses.get(name)
    if not name or (refused is not None and refused.code is Code.UNRESOLVABLE):
        return ""
    node = snapshot.node(name)
    if node is None:
        return ""
    makes_way = any(priority(other) < priority(pod) and _is_making_way(other) for other in node.pods)
    return VICTIM_TERMINATING if makes_way else ""


def _is_making_way(pod: Pod) -> bool:
    """Whether the pod is on its way out because of an earlier preemption."""
    if not pod.metadata.is_terminating:
        return False
    condition = find_condition(pod.status.conditions, DISRUPTION_TARGET)
    return condition is not None and condition.status == "True" and condition.reason == BY_SCHEDULER


def priority(pod: Pod) -> int:
    """The pod's priority; none means 0 (SC-4)."""
    return pod.spec.priority or 0


def potential_nodes(
    snapshot: Snapshot, statuses: Mapping[str, Status], refused: Status | None = None
) -> tuple[NodeInfo, ...]:
    """Nodes that removing pods might help, in the order of the snapshot (SC-111).

    Parameters
    ----------
    snapshot : what the attempt saw.
    statuses : the answers of the nodes that were looked at.
    refused : PreFilter's refusal, which is that of every node.
    """
    if refused is not None:
        return snapshot.nodes if refused.code is Code.UNSCHEDULABLE else ()
    return tuple(
        info
        for info in snapshot.nodes
        if (status := statuses.get(info.name)) is not None and status.code is Code.UNSCHEDULABLE
    )


def dry_run(
    prepared: Prepared, pod: Pod, snapshot: Snapshot, potential: Sequence[NodeInfo],
    budgets: Sequence[PodDisruptionBudget] = (), *, nominations: Nominations = NOBODY, offset: int = 0,
) -> DryRun:
    """Try node after node, from `offset` round robin (SC-111).

    Up to 100 nodes, all are tried and `offset` matters only for the order. Beyond, it stops once there are enough
    candidates and one of them violates no budget: then `offset` is a choice of the caller's (SC/ND-5).
    """
    count = len(potential)
    enough = min(count, max(count * 10 // 100, LEAST_CANDIDATES))
    candidates: list[Candidate] = []
    statuses: dict[str, Status] = {}
    failure: Status | None = None
    for turn in range(count):
        info = potential[(offset + turn) % count]
        found = victims_on(prepared, pod, info, snapshot, budgets, nominations)
        if isinstance(found, Candidate):
            candidates.append(found)
            if len(candidates) >= enough and any(not candidate.violations for candidate in candidates):
                break
        else:
            statuses[info.name] = found
            if found.code is Code.ERROR and failure is None:
                failure = found
    return DryRun(tuple(candidates), statuses, failure)


def victims_on(
    prepared: Prepared, pod: Pod, node: NodeInfo, snapshot: Snapshot,
    budgets: Sequence[PodDisruptionBudget] = (), nominations: Nominations = NOBODY,
) -> Candidate | Status:
    """The fewest and least important pods of a node that must go, or why none would help (SC-111)."""
    now = snapshot.view.now
    pool = [other for other in node.pods if priority(other) < priority(pod)]
    if not pool:
        return NO_VICTIMS
    info, state = node, prepared
    for other in pool:
        info = info.without_pod(other)
        state = tuple((plugin, plugin.remove_pod(old, pod, other, info, snapshot)) for plugin, old in state)
    status = _status(state, pod, info, snapshot, nominations)
    if status is not SUCCESS:
        return status
    pool.sort(key=_importance(now))
    violating, harmless = _by_budget(pool, budgets)
    victims: list[Pod] = []
    violations = 0
    for group, counts in ((violating, 1), (harmless, 0)):
        for other in group:
            fuller = info.with_pod(other)
            with_it = tuple((plugin, plugin.add_pod(old, pod, other, fuller, snapshot)) for plugin, old in state)
            if _status(with_it, pod, fuller, snapshot, nominations) is SUCCESS:
                info, state = fuller, with_it
            else:
                victims.append(other)
                violations += counts
    if not victims:  # the pod would fit as it is: the attempt did not see what the dry run sees
        return error(PLUGIN, f'expected at least one victim pod on node "{node.name}"')
    victims.sort(key=_importance(now))
    return Candidate(node.name, tuple(victims), violations)


def _status(prepared: Prepared, pod: Pod, node: NodeInfo, snapshot: Snapshot, nominations: Nominations) -> Status:
    """Whether the pod may run on a node, be it with the pods nominated there or without them (SC-46)."""
    nominated = nominations.get(node.name)
    if nominated:
        crowded = with_nominations(prepared, pod, nominated, node, snapshot)
        if crowded is not None:
            status = run_filters(crowded[0], pod, crowded[1], snapshot)
            if status is not SUCCESS:
                return status
    return run_filters(prepared, pod, node, snapshot)


def _importance(now: Micros) -> Callable[[Pod], tuple[int, Micros]]:
    """Sorts the most important pod first: by priority, then the one that has run longest; not started means now."""

    def key(pod: Pod) -> tuple[int, Micros]:
        return (-priority(pod), _started(pod, now))

    return key


def _started(pod: Pod, now: Micros) -> Micros:
    return pod.status.start_time if pod.status.start_time is not None else now


def _by_budget(pods: Iterable[Pod], budgets: Sequence[PodDisruptionBudget]) -> tuple[list[Pod], list[Pod]]:
    """Pods whose eviction would violate a budget, and the others, budgets being used up from the first pod on."""
    allowed = [budget.status.disruptions_allowed for budget in budgets]
    violating: list[Pod] = []
    harmless: list[Pod] = []
    for pod in pods:
        violates = False
        for place, budget in enumerate(budgets):
            selector = budget.spec.selector
            if budget.metadata.namespace != pod.metadata.namespace or selector is None or selector.is_empty:
                continue
            if not pod.metadata.labels or not selector.selects(pod.metadata.labels):
                continue
            if pod.metadata.name in budget.status.disrupted_pods:
                continue
            allowed[place] -= 1
            violates = violates or allowed[place] < 0
        (violating if violates else harmless).append(pod)
    return violating, harmless


def best_candidates(candidates: Sequence[Candidate], now: Micros) -> tuple[Candidate, ...]:
    """The candidates that remain equal after all of Kubernetes' criteria, in the order given (SC-112).

    Fewest violated budgets; the least important "most important victim"; the smallest sum of priorities; the fewest
    victims; the youngest of those that have run longest among the most important victims.
    """
    criteria: tuple[Callable[[Candidate], int], ...] = (
        lambda candidate: candidate.violations,
        lambda candidate: priority(candidate.victims[0]) if candidate.victims else -_PRIORITY_SHIFT,
        lambda candidate: sum(priority(victim) + _PRIORITY_SHIFT for victim in candidate.victims),
        lambda candidate: len(candidate.victims),
        lambda candidate: -_earliest_start(candidate, now),
    )
    best = list(candidates)
    for criterion in criteria:
        least = min((criterion(candidate) for candidate in best), default=0)
        best = [candidate for candidate in best if criterion(candidate) == least]
    return tuple(best)


def _earliest_start(candidate: Candidate, now: Micros) -> Micros:
    """When the longest-running of the most important victims started."""
    victims = candidate.victims
    return min((_started(victim, now) for victim in victims if priority(victim) == priority(victims[0])), default=now)


def outranked(nominations: Nominations, node: str, pod: Pod) -> tuple[Pod, ...]:
    """Pods nominated to the chosen node that lose their nomination to `pod` (SC-112)."""
    return tuple(other for other in nominations.get(node, ()) if priority(other) < priority(pod))
