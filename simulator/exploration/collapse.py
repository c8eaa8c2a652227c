"""Maximal end components: sets of states in which scheduling can stay for ever, and go from each to each.

All of its states are worth the same, so that one is collapsed to a single vertex before chances are computed. What then
remains of a cycle is left by chance, however the steps are scheduled, and the equations of every scheduling have
exactly one solution.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from simulator.exploration.components import components, ends, strongly_connected
from simulator.exploration.graph import StateGraph


class Collapsed(Struct, frozen=True):
    """The graph with end components as single vertices; a vertex goes by its lowest state.

    Attributes
    ----------
    of : the vertex of each state.
    members : the states of each vertex that has several.
    order : strongly connected sets of vertices, so ordered that edges lead to the same or to an earlier one.
    """

    of: Sequence[int]
    members: dict[int, tuple[int, ...]]
    order: Sequence[tuple[int, ...]]

    def states(self, vertex: int) -> tuple[int, ...]:
        """The states of a vertex."""
        return self.members.get(vertex) or (vertex,)


def collapse(graph: StateGraph) -> Collapsed:
    """Collapse the end components of a graph, the ends among them. An open state is in none of several states."""
    return graph.derive("collapsed", lambda: _collapse(graph))


def _collapse(graph: StateGraph) -> Collapsed:
    of = list(graph.states)
    members: dict[int, tuple[int, ...]] = {}
    for component in components(graph).members:
        if len(component) > 1:
            for block in _end_components(graph, component):
                members[block[0]] = block
                for state in block:
                    of[state] = block[0]
    if not members:
        return Collapsed(of, members, components(graph).members)
    offsets, heads = [0], list[int]()
    for vertex in graph.states:
        if of[vertex] == vertex:
            for state in members.get(vertex) or (vertex,):
                heads.extend(of[graph.target(edge)] for edge in graph.out(state))
        offsets.append(len(heads))
    blocks: dict[int, list[int]] = {}
    for vertex, number in enumerate(strongly_connected(len(of), offsets, heads)):
        if of[vertex] == vertex:
            blocks.setdefault(number, []).append(vertex)
    return Collapsed(of, members, [tuple(blocks[number]) for number in sorted(blocks)])


def _end_components(graph: StateGraph, states: Sequence[int]) -> list[tuple[int, ...]]:
    """The maximal end components, of two states or more, within a strongly connected component."""
    if states in _end_set(graph):
        return [tuple(states)]
    # by state: the targets of each choice that can be made without any risk to leave
    inside: dict[int, list[tuple[int, ...]]] = {}
    known = frozenset(states)
    for state in states:
        inside[state] = [] if graph.is_open(state) else [
            tuple(graph.target(edge) for edge, _ in choice) for choice in graph.choices(state)
        ]
    block = dict.fromkeys(states, 0)
    while True:
        is_stable = _drop_leaving(inside, block, known)
        if is_stable:
            break
        numbers = {state: number for number, state in enumerate(inside)}
        offsets, heads = [0], list[int]()
        for choices in inside.values():
            heads.extend(numbers[target] for choice in choices for target in choice)
            offsets.append(len(heads))
        found = strongly_connected(len(numbers), offsets, heads)
        block = {state: found[number] for state, number in numbers.items()}
    blocks: dict[int, list[int]] = {}
    for state in inside:
        blocks.setdefault(block[state], []).append(state)
    return [tuple(sorted(found)) for found in blocks.values() if len(found) > 1]


def _drop_leaving(inside: dict[int, list[tuple[int, ...]]], block: dict[int, int], known: frozenset[int]) -> bool:
    """Drop choices that may leave their block, and states without a choice; True if there was nothing to drop."""
    users: dict[int, list[int]] = {}
    for state, choices in inside.items():
        for choice in choices:
            for target in choice:
                users.setdefault(target, []).append(state)
    is_stable = True
    waiting = list(inside)
    while waiting:
        state = waiting.pop()
        if state not in inside:
            continue
        kept = [
            choice for choice in inside[state]
            if all(target in known and target in inside and block[target] == block[state] for target in choice)
        ]
        if kept and len(kept) == len(inside[state]):
            continue
        is_stable = False
        if kept:
            inside[state] = kept
        else:
            del inside[state]
            waiting.extend(user for user in users.get(state, ()) if user in inside)
    return is_stable


def _end_set(graph: StateGraph) -> frozenset[tuple[int, ...]]:
    return graph.derive("end_set", lambda: frozenset(ends(graph)))
