"""Strongly connected components: sets of states that lead to each other, and the ends, which cannot be left."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from simulator.exploration.graph import StateGraph


class Components(Struct, frozen=True):
    """The strongly connected components of a graph, so numbered that edges lead to the same or to a lower number.

    Attributes
    ----------
    of : the component of each state.
    members : the states of each component, in ascending order.
    """

    of: Sequence[int]
    members: Sequence[tuple[int, ...]]


def strongly_connected(count: int, offsets: Sequence[int], heads: Sequence[int]) -> list[int]:
    """Tarjan's algorithm without recursion, over vertices 0 to `count` - 1; O(vertices + edges).

    Parameters
    ----------
    offsets, heads : the edges of vertex v lead to ``heads[offsets[v]:offsets[v + 1]]``.

    Returns
    -------
    The component of each vertex. Components are numbered in the order in which they are complete, so that those that
    one leads to have lower numbers.

    Examples
    --------
    >>> strongly_connected(3, [0, 1, 3, 3], [1, 0, 2])
    [1, 1, 0]
    """
    unseen, done = -1, count  # an index no vertex has: a vertex of a complete component is above all others
    index = [unseen] * count
    low = [0] * count
    component = [0] * count
    position = list(offsets[:count])
    pending: list[int] = []
    found = seen = 0
    for root in range(count):
        if index[root] != unseen:
            continue
        path = [root]
        index[root] = low[root] = seen
        seen += 1
        pending.append(root)
        while path:
            vertex = path[-1]
            at = position[vertex]
            if at < offsets[vertex + 1]:
                position[vertex] = at + 1
                head = heads[at]
                if index[head] == unseen:
                    index[head] = low[head] = seen
                    seen += 1
                    pending.append(head)
                    path.append(head)
                elif index[head] < low[vertex]:
                    low[vertex] = index[head]
                continue
            path.pop()
            if path and low[vertex] < low[path[-1]]:
                low[path[-1]] = low[vertex]
            if low[vertex] == index[vertex]:
                while True:
                    member = pending.pop()
                    index[member] = done
                    component[member] = found
                    if member == vertex:
                        break
                found += 1
    return component


def components(graph: StateGraph) -> Components:
    """The strongly connected components of a graph."""
    return graph.derive("components", lambda: _components(graph))


def _components(graph: StateGraph) -> Components:
    beside = graph.outgoing
    of = strongly_connected(len(graph.states), beside.offsets, [graph.target(edge) for edge in beside.edges])
    members: list[list[int]] = [[] for _ in range(max(of, default=-1) + 1)]
    for state, component in enumerate(of):
        members[component].append(state)
    return Components(of, [tuple(states) for states in members])


def ends(graph: StateGraph) -> tuple[tuple[int, ...], ...]:
    """The components that cannot be left: one state at rest, or a cycle. By their lowest state.

    A component with an open state is none: nobody knows whether it can be left.
    """
    return graph.derive("ends", lambda: _ends(graph))


def _ends(graph: StateGraph) -> tuple[tuple[int, ...], ...]:
    found = components(graph)
    can_be_left = [False] * len(found.members)
    for edge in graph.edges:
        source = found.of[graph.source(edge)]
        if source != found.of[graph.target(edge)]:
            can_be_left[source] = True
    for state in graph.open_states:
        can_be_left[found.of[state]] = True
    return tuple(sorted(states for states, is_left in zip(found.members, can_be_left, strict=True) if not is_left))


def is_at_rest(graph: StateGraph, end: Sequence[int]) -> bool:
    """Does nothing happen any more in an end? Otherwise it goes round for ever."""
    return len(end) == 1 and not graph.out(end[0])


def split_ends(graph: StateGraph, good: Collection[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The states of all good ends, and those of all others.

    Parameters
    ----------
    good : states in which the goal is reached. An end is good if it contains one of them; those outside of ends do not
        count, since what was reached there does not last.
    """
    wanted = frozenset(good)
    kept: list[int] = []
    others: list[int] = []
    for end in ends(graph):
        (kept if not wanted.isdisjoint(end) else others).extend(end)
    return tuple(kept), tuple(others)
