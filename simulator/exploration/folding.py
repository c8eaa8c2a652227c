"""A graph of states made small enough to look at: stretches on which nothing branches become one line."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from msgspec import Struct

from simulator.exploration.components import ends
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.paths import doomed


class Stretch(Struct, frozen=True):
    """Edges that follow each other, drawn as one line.

    Attributes
    ----------
    chance : that of its first edge, the only one that is not certain; None where scheduling decides.
    group : what tells the choice of the first edge from others; None where scheduling decides.
    fatal : the edge among them that is a point of no return, if any.
    """

    edges: tuple[int, ...]
    source: int
    target: int
    chance: Fraction | None
    group: int | str | None
    fatal: int | None


class Folded(Struct, frozen=True):
    """What is left to draw."""

    states: tuple[int, ...]
    stretches: tuple[Stretch, ...]


def fold(graph: StateGraph, good: Collection[int], is_folded: bool = True) -> Folded:
    """Leave out the states that have one way in and one way out; the start and the ends stay.

    Parameters
    ----------
    is_folded : False leaves nothing out.
    """
    lost = doomed(graph, good)
    kept = {state for end in ends(graph) for state in end} | {START, *graph.open_states} if graph.states else set()
    for state in graph.states:
        if not is_folded or len(graph.out(state)) != 1 or len(graph.into(state)) != 1:
            kept.add(state)
    stretches = []
    for state in sorted(kept):
        for choice in graph.choices(state):
            for first, chance in choice:
                edges = [first]
                while (target := graph.target(edges[-1])) not in kept:
                    edges.append(graph.out(target)[0])
                fatal = [edge for edge in edges if graph.target(edge) in lost and graph.source(edge) not in lost]
                group = graph.group(first)
                stretches.append(Stretch(
                    tuple(edges), state, target, None if group is None else chance, group, next(iter(fatal), None)
                ))
    return Folded(tuple(sorted(kept)), tuple(stretches))
