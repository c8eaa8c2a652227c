"""Exact chances to end well or badly, as fractions.

Where only chance decides (a Markov chain), every end has its chance. Where scheduling decides too, a set of ends has a
least and a greatest chance over all *fair* schedulings: those under which a step that can be taken again and again is
taken at some time. A fair run does not stay in a cycle that can be left, so that it comes to an end of the graph with
certainty; the least chance of some ends is then 1 minus the greatest of all others. Both bounds are attained, and exact
for graphs with cycles too: end components are collapsed and the rest is solved by policy iteration with fractions.

Two things make a chance less than exact, and the answer then says so: states that were not explored further, and a
cycle of so many states coupled by chance that its equations are not solved within `MOST_STEPS`. Neither leads to a
guess: what is not known counts as `unknown`, or widens the bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from simulator.exploration.collapse import Collapsed, collapse
from simulator.exploration.components import Components, components, ends, split_ends
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.linear import Row, solve

_IMPOSSIBLE: Final = Fraction(0)
_CERTAIN: Final = Fraction(1)

_Options = list[tuple[Fraction, Row]]
"""What each choice of a vertex is worth: a constant, and the weights of vertices whose worth is still looked for."""


class EndChances(Struct, frozen=True):
    """The chance of each end, in the order of `ends`; with `unknown` they sum to 1.

    Attributes
    ----------
    unknown : the chance to come to an open state, or to a cycle too large to be solved, after which nothing is known.
    """

    ends: tuple[Fraction, ...]
    unknown: Fraction


class Bounds(Struct, frozen=True):
    """A chance, between its least and its greatest value.

    Attributes
    ----------
    is_exact : whether some fair scheduling attains each of the two; if not, they are still bounds.
    """

    least: Fraction
    greatest: Fraction
    is_exact: bool = True

    @property
    def is_possible(self) -> bool:
        """Can it happen? Without exactness: for all that is known."""
        return self.greatest > 0

    @property
    def is_certain(self) -> bool:
        """Does it happen under every scheduling?"""
        return self.least == 1


def end_chances(graph: StateGraph) -> EndChances:
    """The chance of each end of a Markov chain, from the start.

    Raises
    ------
    ValueError
        If some state has several choices: then there are only bounds.
    """
    if not graph.is_chain:
        raise ValueError("some state has several choices, so that an end has no chance, but bounds: ask chance_bounds")
    arriving: dict[int, Fraction] = {START: _CERTAIN}
    unknown = _IMPOSSIBLE
    found = components(graph)
    for states in reversed(found.members):  # edges lead to later ones
        if len(states) > 1 and not _stay(graph, states, arriving):
            unknown += sum((arriving.pop(state, _IMPOSSIBLE) for state in states), _IMPOSSIBLE)
        for state in states:
            if state in arriving and not graph.is_open(state):
                _pass_on(graph, state, arriving, found)
    return EndChances(
        tuple(sum((arriving.get(state, _IMPOSSIBLE) for state in end), _IMPOSSIBLE) for end in ends(graph)),
        sum((arriving.get(state, _IMPOSSIBLE) for state in graph.open_states), unknown),
    )


def _pass_on(graph: StateGraph, state: int, arriving: dict[int, Fraction], found: Components) -> None:
    """Hand what arrives at a state over to the components that it leads to."""
    share = arriving[state]
    own = found.of[state]
    for choice in graph.choices(state):
        if len(found.members[own]) == 1:  # otherwise the returns are in the number of visits already
            looping = sum((chance for edge, chance in choice if graph.target(edge) == state), _IMPOSSIBLE)
            if looping == 1:
                return
            share /= 1 - looping
        for edge, chance in choice:
            target = graph.target(edge)
            if found.of[target] != own:
                handed = share if chance == 1 else share * chance
                arriving[target] = arriving[target] + handed if target in arriving else handed


def _stay(graph: StateGraph, states: Sequence[int], arriving: dict[int, Fraction]) -> bool:
    """Turn what arrives at a cycle into the expected number of visits of its states; False if it is too large."""
    numbers = {state: number for number, state in enumerate(states)}
    rows: list[Row] = [{} for _ in states]
    can_be_left = False
    for state in states:
        if graph.is_open(state):
            can_be_left = True
            continue
        for edge, chance in graph.choices(state)[0]:
            target = numbers.get(graph.target(edge))
            if target is None:
                can_be_left = True
                continue
            row = rows[target]
            row[numbers[state]] = row.get(numbers[state], _IMPOSSIBLE) + chance
    if not can_be_left or not any(state in arriving for state in states):
        return True
    visits = solve(rows, [arriving.get(state, _IMPOSSIBLE) for state in states])
    if visits is None:
        return False
    for state, number in numbers.items():
        if visits[number]:
            arriving[state] = visits[number]
    return True


def greatest_chances(graph: StateGraph, good: Collection[int]) -> list[Fraction]:
    """By state, the greatest chance to come to a good end over all fair schedulings; an open state may be good."""
    kept, _ = split_ends(graph, good)
    return _greatest(graph, (*kept, *graph.open_states))[0]


def least_chances(graph: StateGraph, good: Collection[int]) -> list[Fraction]:
    """By state, the least chance to come to a good end over all fair schedulings; an open state may be bad.

    In a Markov chain without open states it is the chance itself, and the same as the greatest.
    """
    _, others = split_ends(graph, good)
    return [1 - chance for chance in _greatest(graph, (*others, *graph.open_states))[0]]


def chance_bounds(graph: StateGraph, good: Collection[int], state: int = START) -> Bounds:
    """The least and the greatest chance of a good end.

    Parameters
    ----------
    good : states in which the goal is reached; an end is good if it contains one of them.
    state : where the run begins.
    """
    kept, others = split_ends(graph, good)
    greatest, is_high_exact = _greatest(graph, (*kept, *graph.open_states))
    missing, is_low_exact = _greatest(graph, (*others, *graph.open_states))
    is_exact = is_high_exact and is_low_exact and (
        not graph.open_states or not _greatest(graph, graph.open_states)[0][state]
    )
    return Bounds(1 - missing[state], greatest[state], is_exact)


def _greatest(graph: StateGraph, targets: Iterable[int]) -> tuple[list[Fraction], bool]:
    """By state, the greatest chance to come to `targets`, which are whole ends and open states; is it exact?"""
    collapsed = collapse(graph)
    worth: dict[int, Fraction] = {collapsed.of[state]: _CERTAIN for state in targets}
    for end in ends(graph):
        worth.setdefault(collapsed.of[end[0]], _IMPOSSIBLE)
    for state in graph.open_states:
        worth.setdefault(state, _IMPOSSIBLE)
    is_exact = True
    for vertices in collapsed.order:
        unknown = [vertex for vertex in vertices if vertex not in worth]
        if not unknown:
            continue
        numbers = {vertex: number for number, vertex in enumerate(unknown)}
        options = [_options(graph, collapsed, vertex, numbers, worth) for vertex in unknown]
        best = _best(options)
        if best is None:
            is_exact = False
            best = [_at_most(options)] * len(options)
        worth.update(zip(unknown, best, strict=True))
    return [worth[collapsed.of[state]] for state in graph.states], is_exact


def _options(
    graph: StateGraph, collapsed: Collapsed, vertex: int, numbers: dict[int, int], worth: dict[int, Fraction]
) -> _Options:
    found: _Options = []
    for state in collapsed.states(vertex):
        for choice in graph.choices(state):
            constant, row = _IMPOSSIBLE, Row()
            does_stay = True
            for edge, chance in choice:
                target = collapsed.of[graph.target(edge)]
                does_stay = does_stay and target == vertex
                if target in numbers:
                    row[numbers[target]] = row.get(numbers[target], _IMPOSSIBLE) + chance
                elif worth[target]:
                    constant += chance if worth[target] == 1 else chance * worth[target]
            if not does_stay:
                found.append((constant, row))
    return found


def _best(options: Sequence[_Options]) -> list[Fraction] | None:
    """The greatest worth of vertices that lead to each other, each with a choice to make: policy iteration.

    A choice is only changed for one that is strictly better. As no scheduling stays among the vertices for ever, that
    ends at the greatest solution there is. None if that would take too long.
    """
    if len(options) == 1:
        return [max(constant / (1 - row[0]) if row else constant for constant, row in options[0])]
    policy = [0] * len(options)
    while True:
        worth = solve([choices[at][1] for choices, at in zip(options, policy, strict=True)],
                      [choices[at][0] for choices, at in zip(options, policy, strict=True)])
        if worth is None:
            return None
        is_best = True
        for vertex, choices in enumerate(options):
            best = worth[vertex]
            for at, (constant, row) in enumerate(choices):
                value = sum((weight * worth[other] for other, weight in row.items()), constant)
                if value > best:
                    best, policy[vertex], is_best = value, at, False
        if is_best:
            return worth


def _at_most(options: Sequence[_Options]) -> Fraction:
    """A bound of the worth of vertices that lead to each other: what the best of all ways out is worth on its own."""
    return max(
        constant / leaving
        for choices in options
        for constant, row in choices
        if (leaving := 1 - sum(row.values(), _IMPOSSIBLE))
    )
