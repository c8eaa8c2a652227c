"""What is still possible in a state, the ways that lead somewhere, and the step after which nothing helped.

In all of it `good` are states in which the goal is reached; an end is good if it contains one of them. Scheduling is
taken to be fair: a cycle that can be left is left at some time, so that every run comes to an end of the graph.
Nothing is claimed of what follows an open state: it may yet be good, and it may yet be bad.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal

from simulator.exploration.components import ends, split_ends
from simulator.exploration.graph import START, StateGraph

Fate = Literal["converged", "stuck", "sure", "doomed", "undecided", "open"]

FATES: Final[tuple[Fate, ...]] = ("converged", "stuck", "sure", "doomed", "undecided", "open")
"""A good end, another end, on the way to good ends only, to other ends only, to both; not explored further."""


def can_reach(graph: StateGraph, targets: Iterable[int]) -> frozenset[int]:
    """The states from which some way leads to one of `targets`; these included."""
    found = dict.fromkeys(targets)
    waiting = list(found)
    beside = graph.incoming
    while waiting:
        state = waiting.pop()
        for position in range(beside.offsets[state], beside.offsets[state + 1]):
            source = graph.source(beside.edges[position])
            if source not in found:
                found[source] = None
                waiting.append(source)
    return frozenset(found)


def doomed(graph: StateGraph, good: Collection[int]) -> frozenset[int]:
    """The states from which no good end can be reached, whatever happens."""
    kept, _ = split_ends(graph, good)
    return frozenset(graph.states) - can_reach(graph, (*kept, *graph.open_states))


def sure(graph: StateGraph, good: Collection[int]) -> frozenset[int]:
    """The states from which every end that can be reached is good."""
    _, others = split_ends(graph, good)
    return frozenset(graph.states) - can_reach(graph, (*others, *graph.open_states))


def fates(graph: StateGraph, good: Collection[int]) -> list[Fate]:
    """What will become of each state, by state."""
    lost, safe = doomed(graph, good), sure(graph, good)
    found: list[Fate] = [
        "doomed" if state in lost else "sure" if state in safe else "undecided" for state in graph.states
    ]
    for end in ends(graph):
        for state in end:
            found[state] = "stuck" if state in lost else "converged"
    for state in graph.open_states:
        found[state] = "open"
    return found


def shortest_path(graph: StateGraph, targets: Iterable[int], source: int = START) -> tuple[int, ...] | None:
    """The fewest edges that lead from `source` to one of `targets`; None if none do.

    Of several such ways it is the one whose edges are the oldest, compared from its beginning.
    """
    wanted = frozenset(targets)
    came_by: dict[int, int | None] = {source: None}
    waiting = deque([source])
    while waiting:
        state = waiting.popleft()
        if state in wanted:
            return _way_back(graph, came_by, state)
        for edge in graph.out(state):
            target = graph.target(edge)
            if target not in came_by:
                came_by[target] = edge
                waiting.append(target)
    return None


def _way_back(graph: StateGraph, came_by: dict[int, int | None], state: int) -> tuple[int, ...]:
    path: list[int] = []
    while (edge := came_by[state]) is not None:
        path.append(edge)
        state = graph.source(edge)
    return tuple(reversed(path))


def point_of_no_return(graph: StateGraph, path: Sequence[int], good: Collection[int]) -> int | None:
    """The index in `path` of the first edge after which no good end can be reached.

    Returns
    -------
    None if there is no such edge: the path leads nowhere that is doomed, or it begins there and no step is to blame.
    """
    lost = doomed(graph, good)
    for index, edge in enumerate(path):
        if graph.source(edge) in lost:
            return None
        if graph.target(edge) in lost:
            return index
    return None


def fatal_edges(graph: StateGraph, good: Collection[int]) -> tuple[int, ...]:
    """All points of no return: edges from a state that is not doomed to one that is."""
    lost = doomed(graph, good)
    return tuple(
        edge for edge in graph.edges if graph.target(edge) in lost and graph.source(edge) not in lost
    )
