"""One scheduling cycle, from the queue to the start of the binding cycle (SC-36 to SC-49, SC-98 to SC-100)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Pod
from simulator.api.meta import Key, evolve
from simulator.api.policy import PodDisruptionBudget
from simulator.cluster.component import View
from simulator.flows import DONE, Answer, Choose, Flow, Intent, Remember, Spawn, Tell
from simulator.scheduler.assumptions import AssumedView, out_of_sync
from simulator.scheduler.binding import BINDING, BindingPlan
from simulator.scheduler.decision import Decide, Decision, Preparation, Profile, Question, decide, prepare
from simulator.scheduler.eviction import EVICTION, Eviction
from simulator.scheduler.failure import UNSCHEDULABLE, Failure, event, fail, wake
from simulator.scheduler.framework import NodeInfo, Snapshot, Status
from simulator.scheduler.memory import Assumed, Landed, Memory, Popped, Preempting, Searched
from simulator.scheduler.messages import (
    NO_NODES,
    NOT_FOUND,
    fit_error,
    post_filter_message,
    preemption_error,
    skips_post_filter,
)
from simulator.scheduler.plugins.volume_binding import NAME as VOLUME_BINDING
from simulator.scheduler.plugins.volume_binding import VolumePlan, assumptions, volume_writes
from simulator.scheduler.preemption import (
    LEAST_CANDIDATES,
    Candidate,
    best_candidates,
    dry_run,
    ineligible,
    outranked,
    potential_nodes,
)
from simulator.scheduler.records import QueuedPod
from simulator.scheduler.volumes import choose_volumes, settle_ties

NODE_POINT: Final = "node"
PREEMPTION_POINT: Final = "preemption"
OFFSET_POINT: Final = "preemption-offset"


class Cycle(Struct, frozen=True):
    """How pods are scheduled.

    Attributes
    ----------
    percentage : percentageOfNodesToScore, 0 for adaptive (SC-42).
    decide : goes through the nodes; an index may take its place.
    """

    profile: Profile
    percentage: int = 0
    decide: Decide = decide


def schedule_one(cycle: Cycle, view: View) -> Flow:
    """Take one pod and find it a node, or say why there is none."""
    memory: Memory = view.memory
    record = memory.queue.head(view.now)
    if record is None:
        return DONE
    pod = record.pod
    # Everything that the decision rests on is taken from memory before anything in it changes.
    snapshot = Snapshot(memory.cache.nodes(), AssumedView(view, memory.assumptions))
    nominations = memory.queue.nominator.by_node()
    start = memory.start
    is_assumed = memory.cache.is_assumed(pod)
    yield Tell(Remember(Popped(record.key)))
    yield from wake(memory, view.now)
    if pod.metadata.is_terminating:  # SC-37
        text = f"skip schedule deleting pod: {pod.metadata.namespace}/{pod.metadata.name}"
        yield event(pod, "Warning", "FailedScheduling", text)
    if pod.metadata.is_terminating or is_assumed:
        yield Tell(Remember(Landed(pod.metadata.uid)))
        return DONE
    if not snapshot.nodes:  # SC-29, SC-38: refused, but by no plug-in
        yield from fail(view, Failure(pod, NO_NODES, UNSCHEDULABLE))
        return DONE
    question = Question(cycle.profile, pod, snapshot, start, nominations, cycle.percentage)
    preparation = prepare(question)
    if isinstance(preparation, Preparation):
        preparation = yield from settle_ties(question, preparation)
        decision = cycle.decide(question, preparation)
    else:
        decision = preparation
    if decision.next_start != start:
        yield Tell(Remember(Searched(decision.next_start)))
    if decision.feasible:
        yield from _reserve(question, decision, record, view)
    elif decision.error:
        yield from fail(view, Failure(pod, decision.error, detail=_detail(decision)))
    else:
        yield from _refuse(question, decision, view)
    return DONE


# --- a node has been found ------------------------------------------------------------------------------------------


def _reserve(
    question: Question, decision: Decision, record: QueuedPod, view: View
) -> Generator[Intent, Answer, None]:
    """Choose among equals, assume, and start the binding cycle (SC-49, SC-98)."""
    pod = question.pod
    info = yield from _choose_node(pod, decision)
    node = info.name
    state = next((state for plugin, state in decision.states if plugin.name == VOLUME_BINDING), None)
    plan: VolumePlan | None = yield from choose_volumes(state, info)
    assumed = assumptions(plan, node) if plan is not None else ()
    for obj in assumed:
        problem = out_of_sync(obj, view.get(obj.key))
        if problem:  # SC-99, VB-143: nothing has been assumed yet, so there is nothing to take back
            yield from fail(view, Failure(pod, f'running Reserve plugin "{VOLUME_BINDING}": {problem}'))
            return
    bound = evolve(pod, spec=evolve(pod.spec, node_name=node))
    yield Tell(Remember(Assumed(bound, assumed)))
    writes = volume_writes(plan, node) if plan is not None else ()
    claims = tuple(claim.key for claim, _ in plan.static) if plan is not None else ()
    yield Tell(Spawn(BINDING, pod.key, BindingPlan(bound, record, writes, claims)))


def _choose_node(pod: Pod, decision: Decision) -> Generator[Intent, Answer, NodeInfo]:
    best = decision.best
    if len(best) == 1:
        return best[0]
    options = tuple(info.node.key for info in best)
    chosen: Key = yield Choose(NODE_POINT, pod.key, options)
    return best[options.index(chosen)]


# --- no node will do ------------------------------------------------------------------------------------------------


class _Preemption(Struct, frozen=True):
    """What PostFilter gave: its text, what becomes of the nomination (SC-108), and whom to evict."""

    text: str = ""
    nominated: str | None = None
    eviction: Eviction | None = None


def _refuse(question: Question, decision: Decision, view: View) -> Generator[Intent, Answer, None]:
    """Try to make room, and put the pod back (SC-47)."""
    preemption = yield from _preempt(question, decision, view)
    pod, eviction = question.pod, preemption.eviction
    message = fit_error(
        len(question.snapshot.nodes), decision.statuses.values(), others=decision.others, rejection=decision.refused,
        post_filter=preemption.text,
    )
    if eviction is not None and eviction.victims:
        yield Tell(Remember(Preempting(pod.metadata.uid)))
    yield from fail(view, Failure(
        pod, message, UNSCHEDULABLE, decision.rejectors, preemption.nominated,
        detail=_detail(decision, preemption.nominated, eviction),
    ))
    if eviction is not None and eviction.victims:
        yield Tell(Spawn(EVICTION, pod.key, eviction))


def _preempt(question: Question, decision: Decision, view: View) -> Generator[Intent, Answer, _Preemption]:
    """PostFilter: find victims whose eviction would help (SC-110 to SC-112)."""
    if skips_post_filter(decision.refused):
        return _Preemption(NOT_FOUND)
    snapshot, nominations = question.snapshot, question.nominations
    pod = view.get(Pod, question.pod.metadata.name, question.pod.metadata.namespace)
    if pod is None:
        return _Preemption(f'pod "{question.pod.metadata.name}" not found')
    statuses = dict(decision.statuses)
    nominee = pod.status.nominated_node_name
    if nominee and decision.others is not None:
        statuses.setdefault(nominee, decision.others)
    if text := ineligible(pod, snapshot, statuses):
        return _Preemption(post_filter_message(text))
    potential = potential_nodes(snapshot, decision.statuses, decision.refused)
    offset = yield from _choose_offset(pod, potential)
    tried = dry_run(
        decision.states, pod, snapshot, potential, view.list(PodDisruptionBudget), nominations=nominations,
        offset=offset,
    )
    if not tried.candidates:
        if tried.failure is not None:
            return _Preemption(", ".join(tried.failure.reasons))
        text = preemption_error(len(snapshot.nodes), tried.statuses.values())
        return _Preemption(post_filter_message(text), "")
    candidate = yield from _choose_candidate(pod, best_candidates(tried.candidates, view.now))
    going = tuple(victim for victim in candidate.victims if not victim.metadata.is_terminating)
    losers = outranked(nominations, candidate.node, pod) if going else ()
    # SC-122: it says nothing, neither of itself nor of resource claims
    return _Preemption("", candidate.node, Eviction(pod, candidate.node, going, losers))


def _choose_offset(pod: Pod, potential: Sequence[NodeInfo]) -> Generator[Intent, Answer, int]:
    """Where the dry run starts; it matters only where not all nodes are tried (SC-111, SC/ND-5)."""
    if len(potential) <= LEAST_CANDIDATES:
        return 0
    options = tuple(info.node.key for info in potential)
    chosen: Key = yield Choose(OFFSET_POINT, pod.key, options)
    return options.index(chosen)


def _choose_candidate(pod: Pod, best: tuple[Candidate, ...]) -> Generator[Intent, Answer, Candidate]:
    if len(best) == 1:
        return best[0]
    options = tuple(Key("Node", "", candidate.node) for candidate in best)
    chosen: Key = yield Choose(PREEMPTION_POINT, pod.key, options)
    return best[options.index(chosen)]


def _detail(
    decision: Decision, nominated: str | None = None, eviction: Eviction | None = None
) -> dict[str, Any]:
    """For the log: what each node said, what all said, and who has to go."""
    detail: dict[str, Any] = {}
    if decision.refused is not None:
        detail["refused"] = _told(decision.refused)
    if decision.others is not None:
        detail["others"] = _told(decision.others)
    rows = {status: _told(status) for status in dict.fromkeys(decision.statuses.values())}
    detail["nodes"] = {name: rows[status] for name, status in decision.statuses.items()}
    if nominated:
        detail["nominated"] = nominated
    if eviction is not None:
        detail["victims"] = [str(victim.key) for victim in eviction.victims]
    return detail


def _told(status: Status) -> list[str]:
    return [status.plugin, status.code.value, *status.reasons]
