"""The ends that runs can come to: what is the case in them, and how likely each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from simulator.explanation.verdict import CONVERGED, STUCK
from simulator.exploration.chances import Bounds, end_chances
from simulator.exploration.components import ends as ends_of
from simulator.exploration.graph import StateGraph
from simulator.exploration.placements import Outline


class Rest(Struct, frozen=True):
    """What is the case in a state at rest."""

    waiting: Mapping[str, str]
    outline: Outline
    placements: Mapping[str, str]
    bindings: Mapping[str, str]
    claims: Mapping[str, tuple[str, ...]]
    failures: tuple[str, ...]


class End(Struct, frozen=True):
    """One end that runs can come to; those that differ only in the names of equal things are one.

    Attributes
    ----------
    verdict : converged or stuck.
    is_livelock : whether things go on for ever; otherwise it is at rest.
    chance : how likely it is, if only chance decides; with an unfinished exploration, at least so likely.
    bounds : otherwise how likely it is at least and at most, over all orders of steps, where that was worked out.
    waiting : what is short of its goal → of what; of one such end.
    placements, bindings, claims : pod → node, claim → volume, pod → its claims; of one such end.
    failures : entries of the timeline that went wrong, in words.
    states : its states in the graph.
    """

    verdict: str
    is_livelock: bool
    chance: Fraction | None
    waiting: dict[str, str]
    placements: dict[str, str]
    bindings: dict[str, str]
    failures: tuple[str, ...]
    states: tuple[int, ...]
    claims: dict[str, tuple[str, ...]] = {}
    bounds: Bounds | None = None


def restless(graph: StateGraph, rests: Mapping[int, Rest]) -> str:
    """Why nothing can be said of some runs although all is explored; "" if there are none."""
    if all(any(state in rests for state in states) for states in ends_of(graph)):
        return ""
    return "some runs go on for ever without once coming to rest, and these are not judged"


def ends_in(graph: StateGraph, rests: Mapping[int, Rest], is_chance: bool) -> tuple[End, ...]:
    """The ends, those that look the same from afar together; the likeliest first.

    Parameters
    ----------
    rests : what is the case in the states at rest.
    is_chance : whether nothing but chance decides between them.
    """
    chances: Sequence[Fraction | None]
    found = ends_of(graph)
    chances = end_chances(graph).ends if is_chance else [None] * len(found)
    together: dict[object, End] = {}
    for states, chance in zip(found, chances, strict=True):
        mine = [rests[state] for state in states if state in rests]
        if not mine:
            continue  # see `restless`
        best = min(mine, key=lambda rest: len(rest.waiting))
        verdict = STUCK if best.waiting else CONVERGED
        is_livelock = verdict == STUCK and len({(rest.outline, tuple(rest.waiting.items())) for rest in mine}) > 1
        look = (verdict, is_livelock, best.outline, best.failures, _shortfalls(best.waiting))
        known = together.get(look)
        if known is None:
            together[look] = End(
                verdict, is_livelock, chance, dict(best.waiting), dict(best.placements), dict(best.bindings),
                best.failures, states, dict(best.claims),
            )
        else:
            chance = known.chance + chance if known.chance is not None and chance is not None else None
            together[look] = End(
                verdict, is_livelock, chance, known.waiting, known.placements, known.bindings, known.failures,
                (*known.states, *states), known.claims,
            )
    return tuple(sorted(together.values(), key=lambda end: (-(end.chance or 0), end.verdict, end.states)))


def _shortfalls(waiting: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(f"{key.partition('/')[0]} {why}" for key, why in waiting.items()))
