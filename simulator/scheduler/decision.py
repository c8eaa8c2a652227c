"""One pod, one snapshot, one decision: which nodes may run the pod, and which of them are best (SC-38 to SC-49).

Pure, and the only place where nodes are gone through: an index may answer the same question faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Pod
from simulator.scheduler.framework import (
    MAX_SCORE,
    SUCCESS,
    Code,
    FilterPlugin,
    NodeInfo,
    ScorePlugin,
    Snapshot,
    Status,
    unresolvable,
)

MIN_FEASIBLE: Final = 100
"""So many feasible nodes are always looked for (SC-42)."""
MIN_PERCENTAGE: Final = 5

Nominations = Mapping[str, tuple[Pod, ...]]
Prepared = tuple[tuple[FilterPlugin, Any], ...]
"""Filter plug-ins that have something to check for this pod, each with what it prepared."""


class Profile(Struct, frozen=True):
    """The plug-ins of a scheduler, in order (SC-1).

    Attributes
    ----------
    scores : each with its weight.
    """

    filters: tuple[FilterPlugin, ...]
    scores: tuple[tuple[ScorePlugin, int], ...]


class Question(Struct, frozen=True):
    """Where a pod may go, given all that the answer depends on.

    Attributes
    ----------
    start : where the search begins, as a position in the snapshot (SC-43).
    nominations : pods nominated to nodes, by node (SC-46).
    percentage : percentageOfNodesToScore, 0 for adaptive (SC-42).
    """

    profile: Profile
    pod: Pod
    snapshot: Snapshot
    start: int = 0
    nominations: Nominations = {}
    percentage: int = 0


class Preparation(Struct, frozen=True):
    """What PreFilter gave (SC-39).

    Attributes
    ----------
    names : the only nodes worth a look; None: all of them.
    narrowers : plug-ins that said so.
    """

    states: Prepared
    names: frozenset[str] | None = None
    narrowers: tuple[str, ...] = ()

    def state(self, plugin: str) -> Any:
        """What a plug-in prepared; None if it was skipped."""
        return next((state for each, state in self.states if each.name == plugin), None)

    def with_state(self, plugin: str, state: Any) -> Preparation:
        """The same with another state of one plug-in."""
        return replace(self, states=tuple((each, state if each.name == plugin else old) for each, old in self.states))


class Decision(Struct, frozen=True):
    """What came of looking at the nodes.

    Attributes
    ----------
    feasible : nodes that may run the pod, in the order in which they were found; at most as many as are looked for.
    totals : their weighted scores; empty for a single node, which needs none (SC-47).
    statuses : why the other nodes that were looked at refuse the pod.
    others : the status of all nodes that were not looked at, None where there is nothing to say (SC-119).
    refused : the pod was refused before any node was looked at, with this status (SC-39).
    rejectors : plug-ins whose refusal an event may undo (SC-28).
    error : the attempt failed with this error.
    next_start : where the next search starts (SC-44).
    states : for preemption: what the filters prepared.
    """

    feasible: tuple[NodeInfo, ...] = ()
    totals: tuple[int, ...] = ()
    statuses: Mapping[str, Status] = {}
    others: Status | None = None
    refused: Status | None = None
    rejectors: frozenset[str] = frozenset()
    error: str = ""
    next_start: int = 0
    states: Prepared = ()

    @property
    def best(self) -> tuple[NodeInfo, ...]:
        """Feasible nodes with the highest total; which of them it is depends on the order of discovery (SC-49)."""
        if len(self.feasible) < 2:
            return self.feasible
        highest = max(self.totals)
        return tuple(info for info, total in zip(self.feasible, self.totals, strict=True) if total == highest)


class Decide(Protocol):
    """Decides where a pod may go."""

    def __call__(self, question: Question, preparation: Preparation) -> Decision:
        """Go through the nodes, or know without going."""


def feasible_target(nodes: int, percentage: int) -> int:
    """How many feasible nodes are enough (SC-42)."""
    if nodes < MIN_FEASIBLE:
        return nodes
    share = percentage if percentage else max(MIN_PERCENTAGE, 50 - nodes // 125)
    return max(MIN_FEASIBLE, nodes * share // 100)


def prepare(question: Question) -> Preparation | Decision:
    """Run PreFilter in the profile's order (SC-39, VB-162); a decision if that refuses the pod outright."""
    pod, snapshot = question.pod, question.snapshot
    names: frozenset[str] | None = None
    narrowers: list[str] = []
    states: list[tuple[FilterPlugin, Any]] = []
    refused: Status | None = None
    for plugin in question.profile.filters:
        result = plugin.pre_filter(pod, snapshot)
        code = result.status.code
        if code is Code.SUCCESS:
            states.append((plugin, result.state))
            if result.node_names is not None:
                narrowers.append(plugin.name)
                names = result.node_names if names is None else names & result.node_names
                if not names:
                    text = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(narrowers))}] simultaneously"
                    if len(narrowers) == 1:
                        text = f"node(s) didn't satisfy plugin {narrowers[0]}"
                    return _outright(question, unresolvable("", text), narrowers)
        elif code is Code.UNRESOLVABLE:
            return _outright(question, result.status, (*narrowers, plugin.name))
        elif code is Code.UNSCHEDULABLE:
            refused = result.status
        elif code is Code.ERROR:
            text = f'running PreFilter plugin "{plugin.name}": {", ".join(result.status.reasons)}'
            return Decision(error=text, next_start=question.start)
    if refused is not None:
        return _outright(question, refused, (*narrowers, refused.plugin), tuple(states))
    return Preparation(tuple(states), names, tuple(narrowers))


def _outright(question: Question, refused: Status, rejectors: Iterable[str], states: Prepared = ()) -> Decision:
    return Decision(refused=refused, rejectors=frozenset(rejectors), next_start=question.start, states=states)


def decide(question: Question, preparation: Preparation) -> Decision:
    """Go through the nodes, one after another; nothing is taken over from the pod before (SC-50, VB-168)."""
    pod, snapshot, start, states = question.pod, question.snapshot, question.start, preparation.states
    statuses: dict[str, Status] = {}

    nominee = pod.status.nominated_node_name
    if nominee and (info := snapshot.node(nominee)) is not None:  # SC-40
        status = node_status(question, states, info)
        if status is SUCCESS:
            return Decision(feasible=(info,), next_start=start, states=states)
        if status.is_rejected:
            statuses[nominee] = status

    nodes: Sequence[NodeInfo] = snapshot.nodes
    others = None
    if preparation.names is not None:  # SC-41
        nodes = [info for info in nodes if info.name in preparation.names]
        others = unresolvable("", f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(preparation.narrowers))}]")
    feasible, error = _search(question, states, nodes, statuses)
    next_start = (start + len(feasible) + len(statuses)) % len(snapshot.nodes)  # SC-44
    totals: Sequence[int] = ()
    if not error and len(feasible) > 1:  # SC-47
        scored = _score(question, feasible)
        if isinstance(scored, str):
            error = scored
        else:
            totals = scored
    if error:
        return Decision(error=error, statuses=statuses, next_start=next_start)
    rejectors = frozenset(status.plugin for status in statuses.values()) | frozenset(preparation.narrowers)  # SC-28
    return Decision(feasible=tuple(feasible), totals=tuple(totals), statuses=statuses, others=others,
                    rejectors=rejectors, next_start=next_start, states=states)


def node_status(question: Question, states: Prepared, info: NodeInfo) -> Status:
    """Whether a node may run the pod, nominated pods considered (SC-46): `SUCCESS`, or the first refusal (VB-161)."""
    if question.nominations and (nominated := question.nominations.get(info.name)) is not None:
        crowded = with_nominations(states, question.pod, nominated, info, question.snapshot)
        if crowded is not None:
            status = run_filters(crowded[0], question.pod, crowded[1], question.snapshot)
            if status is not SUCCESS:
                return status
    return run_filters(states, question.pod, info, question.snapshot)


def with_nominations(
    states: Prepared, pod: Pod, nominated: tuple[Pod, ...], info: NodeInfo, snapshot: Snapshot,
) -> tuple[Prepared, NodeInfo] | None:
    """States and node with the nominated pods added that `pod` must respect; None if there is none (SC-46, SC-114)."""
    priority = pod.spec.priority or 0
    changed = False
    for other in nominated:
        if (other.spec.priority or 0) < priority or other.metadata.uid == pod.metadata.uid:
            continue
        changed = True
        info = info.with_pod(other)
        states = tuple((plugin, plugin.add_pod(state, pod, other, info, snapshot)) for plugin, state in states)
    return (states, info) if changed else None


def run_filters(states: Prepared, pod: Pod, info: NodeInfo, snapshot: Snapshot) -> Status:
    """The first refusal of a node, or `SUCCESS` itself."""
    for plugin, state in states:
        status = plugin.filter(state, pod, info, snapshot)
        if status is not SUCCESS:
            return status
    return SUCCESS


def _search(
    question: Question, states: Prepared, nodes: Sequence[NodeInfo], statuses: dict[str, Status],
) -> tuple[list[NodeInfo], str]:
    """SC-43, one node after another: feasible nodes until there are enough, refusals into `statuses`; and an error."""
    feasible: list[NodeInfo] = []
    pod, snapshot, start, nominations = question.pod, question.snapshot, question.start, question.nominations
    checks = [(plugin.filter, state) for plugin, state in states]
    count = len(nodes)
    target = feasible_target(count, question.percentage)
    for position in range(count):
        info = nodes[(start + position) % count]
        status = SUCCESS
        if nominations and info.name in nominations:
            status = node_status(question, states, info)
        else:
            for check, state in checks:
                status = check(state, pod, info, snapshot)
                if status is not SUCCESS:
                    break
        if status is SUCCESS:
            if len(feasible) == target:
                break
            feasible.append(info)
        elif status.code is Code.ERROR:
            return feasible, f'running "{status.plugin}" filter plugin: {", ".join(status.reasons)}'
        else:
            statuses[info.name] = status
    return feasible, ""


def _score(question: Question, nodes: Sequence[NodeInfo]) -> list[int] | str:
    """SC-48: the weighted sums of all normalized scores, or the error."""
    pod, snapshot = question.pod, question.snapshot
    totals = [0] * len(nodes)
    for plugin, weight in question.profile.scores:
        prepared = plugin.pre_score(pod, nodes, snapshot)
        code = prepared.status.code
        if code is Code.SKIP:
            continue  # SC-97
        if code is not Code.SUCCESS:
            return f'running PreScore plugin "{plugin.name}": {", ".join(prepared.status.reasons)}'
        state = prepared.state
        raw = [plugin.score(state, pod, info, snapshot) for info in nodes]
        for position, score in enumerate(plugin.normalize(state, pod, raw, nodes)):
            if not 0 <= score <= MAX_SCORE:
                return (f'applying score defaultWeights on Score plugins: plugin "{plugin.name}" returns an invalid '
                        f"score {score}, it should in the range of [0, {MAX_SCORE}] after normalizing")
            totals[position] += weight * score
    return totals
