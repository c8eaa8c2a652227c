"""Ties between volumes, asked one by one: before the nodes are searched where it matters, else for the chosen node."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from simulator.api.meta import Key
from simulator.errors import InvariantViolated
from simulator.flows import Answer, Choose, Intent
from simulator.scheduler.decision import Preparation, Question, run_filters
from simulator.scheduler.framework import SUCCESS, NodeInfo
from simulator.scheduler.plugins.pod_volumes import EVERY_NODE, PodVolumes, Tie, VolumePlan, ties_matter
from simulator.scheduler.plugins.volume_binding import NAME as VOLUME_BINDING

VOLUME_POINT: Final = "volume"


def settle_ties(question: Question, preparation: Preparation) -> Generator[Intent, Answer, Preparation]:
    """Break the ties that decide which nodes are feasible (SC/ND-13); nearly always there is none.

    Only nodes that no other plug-in refuses are asked about.
    """
    state: PodVolumes | None = preparation.state(VOLUME_BINDING)
    if state is None or not state.delayed or not ties_matter(state):
        return preparation
    for candidates in state.delayed:
        if len(candidates.reserved) > 1:
            volume = yield from _ask(Tie(candidates.claim, candidates.reserved))
            state = state.settle(EVERY_NODE, {candidates.claim.key: volume})
    others = tuple((plugin, prepared) for plugin, prepared in preparation.states if plugin.name != VOLUME_BINDING)
    count, snapshot = len(question.snapshot.nodes), question.snapshot
    for position in range(count):
        info = snapshot.nodes[(question.start + position) % count]
        if preparation.names is not None and info.name not in preparation.names:
            continue
        if run_filters(others, question.pod, info, snapshot) is not SUCCESS:
            continue
        _, chosen = yield from _break_ties(state, info)
        if chosen:
            state = state.settle(info.name, chosen)
    return preparation.with_state(VOLUME_BINDING, state)


def choose_volumes(state: PodVolumes | None, info: NodeInfo) -> Generator[Intent, Answer, VolumePlan | None]:
    """What to bind on the chosen node; None if there is nothing to bind.

    Raises
    ------
    InvariantViolated
        If a choice has left a claim without a volume.
    """
    if state is None or not (state.delayed or state.selected):
        return None
    plan, _ = yield from _break_ties(state, info)
    if plan.reasons or plan.error:
        raise InvariantViolated(f"the volumes chosen on {info.name} leave a claim without one: {plan}")
    return plan


def _break_ties(state: PodVolumes, info: NodeInfo) -> Generator[Intent, Answer, tuple[VolumePlan, dict[Key, Key]]]:
    """The plan for a node with every tie broken, and how; an answer can change the ties after it."""
    chosen = {**state.settled.get(EVERY_NODE, {}), **state.settled.get(info.name, {})}
    while True:
        plan = state.plan(info.node, chosen)
        tie = plan.next_tie(chosen)
        if tie is None:
            return plan, chosen
        chosen[tie.claim.key] = yield from _ask(tie)


def _ask(tie: Tie) -> Generator[Intent, Answer, Key]:
    chosen: Key = yield Choose(VOLUME_POINT, tie.claim.key, tuple(volume.key for volume in tie.volumes))
    return chosen
