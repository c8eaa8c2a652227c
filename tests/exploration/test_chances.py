from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exploration.chances import (
    Bounds,
    chance_bounds,
    end_chances,
    greatest_chances,
    least_chances,
)
from simulator.exploration.components import ends
from simulator.exploration.graph import StateGraph
from simulator.exploration.linear import solve
from simulator.exploration.paths import can_reach, doomed, sure
from tests.exploration.graphs import drawn_graphs, gamblers_ruin, graph_of

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


def runs(graph: StateGraph, state: int = 0, chance: Fraction = Fraction(1)) -> Iterator[tuple[int, Fraction]]:
    """Every run of an acyclic chain, one by one."""
    choices = graph.choices(state)
    if not choices:
        yield state, chance
        return
    for edge, share in choices[0]:
        yield from runs(graph, graph.target(edge), chance * share)


def policies(graph: StateGraph) -> Iterator[Sequence[int]]:
    """Every way to schedule that depends on the state alone."""
    return product(*(range(max(1, len(graph.choices(state)))) for state in graph.states))


def worth_under(graph: StateGraph, policy: Sequence[int], targets: frozenset[int]) -> list[Fraction]:
    """By state, the chance to reach `targets` under a policy: Gauss-Jordan, what cannot reach them left out."""
    taken = StateGraph()
    for _ in graph.states:
        taken.add_state()
    for state in graph.states:
        for edge, chance in graph.choices(state)[policy[state]] if graph.choices(state) else ():
            taken.add_edge(state, graph.target(edge), chance=chance)
    open_to = can_reach(taken, targets)
    unknown = [state for state in graph.states if state in open_to and state not in targets]
    numbers = {state: number for number, state in enumerate(unknown)}
    rows = []
    for state in unknown:
        row = [Fraction(0)] * (len(unknown) + 1)
        row[numbers[state]] += 1
        for edge, chance in taken.choices(state)[0]:
            target = taken.target(edge)
            if target in numbers:
                row[numbers[target]] -= chance
            elif target in targets:
                row[-1] += chance
        rows.append(row)
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(len(rows)):
            if k != i and rows[k][i]:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [
        Fraction(1) if state in targets else rows[numbers[state]][-1] if state in numbers else Fraction(0)
        for state in graph.states
    ]


@given(drawn_graphs(is_chain=True, is_acyclic=True))
def test_chances_of_an_acyclic_chain_are_the_sums_over_all_its_runs(graph: StateGraph) -> None:
    expected = dict.fromkeys(graph.states, Fraction(0))
    for state, chance in runs(graph):
        expected[state] += chance
    assert end_chances(graph).ends == tuple(expected[end[0]] for end in ends(graph))


@given(drawn_graphs(is_chain=True))
def test_chances_of_a_chain_are_those_of_its_equations_and_sum_to_one(graph: StateGraph) -> None:
    found = end_chances(graph)
    assert sum(found.ends) == 1
    assert found.unknown == 0
    for end, chance in zip(ends(graph), found.ends, strict=True):
        expected = worth_under(graph, [0] * len(graph.states), frozenset(end))
        assert chance == expected[0]
        assert least_chances(graph, end) == greatest_chances(graph, end) == expected


@given(drawn_graphs(is_chain=True), st.data())
def test_chances_sum_to_one_with_what_is_unknown(graph: StateGraph, data: st.DataObject) -> None:
    for state in sorted(data.draw(st.sets(st.sampled_from(list(graph.states))))):
        graph.leave_open(state)
    found = end_chances(graph)
    assert sum(found.ends) + found.unknown == 1
    for end, chance in zip(ends(graph), found.ends, strict=True):
        assert chance_bounds(graph, end) == Bounds(chance, chance + found.unknown, not found.unknown)


@pytest.mark.parametrize(("stakes", "win", "lose"), [(2, 1, 1), (5, 1, 1), (30, 1, 1), (4, 2, 1), (12, 18, 19)])
def test_the_gambler_is_ruined_as_often_as_the_closed_form_says(stakes: int, win: int, lose: int) -> None:
    ratio = Fraction(lose, win)
    rich = Fraction(1, stakes) if win == lose else (1 - ratio) / (1 - ratio**stakes)
    assert end_chances(gamblers_ruin(stakes, win, lose)).ends == (1 - rich, rich)


def test_a_long_chain_of_fair_games_is_solved_exactly() -> None:
    assert end_chances(gamblers_ruin(2000, 1, 1)).ends == (Fraction(1999, 2000), Fraction(1, 2000))


def test_chances_agree_with_what_is_drawn() -> None:
    graph = graph_of(6, (0, 1, 1), (0, 2, 2), (1, 0, 1), (1, 3, 1), (2, 1, 1), (2, 4, 3), (4, 5, 1), (5, 4, 1))
    assert ends(graph) == ((3,), (4, 5))
    draw, runs_made, at_rest = Random(4), 20_000, 0
    for _ in range(runs_made):
        state = 0
        while state < 3:
            choice = graph.choices(state)[0]
            edge = draw.choices([edge for edge, _ in choice], [float(share) for _, share in choice])[0]
            state = graph.target(edge)
        at_rest += state == 3
    exact = end_chances(graph).ends[0]
    assert abs(at_rest / runs_made - exact) < 4 * float(exact * (1 - exact) / runs_made) ** 0.5


def test_a_chain_with_two_choices_somewhere_has_no_single_chance() -> None:
    with pytest.raises(ValueError, match="ask chance_bounds"):
        end_chances(graph_of(3, (0, 1), (0, 2)))


@given(drawn_graphs(is_acyclic=True, most=6), st.data())
def test_bounds_of_an_acyclic_process_are_those_over_all_policies(graph: StateGraph, data: st.DataObject) -> None:
    good = data.draw(st.sets(st.sampled_from([state for end in ends(graph) for state in end])))
    worth = [worth_under(graph, policy, frozenset(good)) for policy in policies(graph)]
    assert greatest_chances(graph, good) == [max(by_state) for by_state in zip(*worth, strict=True)]
    assert least_chances(graph, good) == [min(by_state) for by_state in zip(*worth, strict=True)]


@given(drawn_graphs(most=6), st.data())
def test_bounds_of_a_process_with_cycles_are_those_over_all_fair_schedulings(
    graph: StateGraph, data: st.DataObject
) -> None:
    """Fair schedulings come arbitrarily close to the best policy for a set of ends, and end somewhere."""
    all_ends = ends(graph)
    good = frozenset(s for end in data.draw(st.sets(st.sampled_from(all_ends))) for s in end)
    others = frozenset(state for end in all_ends for state in end) - good
    count = 1
    for state in graph.states:
        count *= max(1, len(graph.choices(state)))
    if count > 300:
        return
    best = [worth_under(graph, policy, good) for policy in policies(graph)]
    worst = [worth_under(graph, policy, others) for policy in policies(graph)]
    assert greatest_chances(graph, good) == [max(by_state) for by_state in zip(*best, strict=True)]
    assert least_chances(graph, good) == [1 - max(by_state) for by_state in zip(*worst, strict=True)]


@given(drawn_graphs(most=12), st.data())
def test_the_least_chance_is_at_most_the_greatest_and_both_agree_with_what_is_possible(
    graph: StateGraph, data: st.DataObject
) -> None:
    good = data.draw(st.sets(st.sampled_from(list(graph.states))))
    for state in data.draw(st.sets(st.sampled_from(list(graph.states)), max_size=2)):
        graph.leave_open(state)
    least, greatest = least_chances(graph, good), greatest_chances(graph, good)
    assert all(0 <= low <= high <= 1 for low, high in zip(least, greatest, strict=True))
    if not graph.open_states:
        assert {state for state, high in enumerate(greatest) if high == 0} == doomed(graph, good)
        assert {state for state, low in enumerate(least) if low == 1} == sure(graph, good)


def test_a_cycle_that_can_be_left_is_left() -> None:
    # scheduling may go round 0 -> 1 -> 0 for ever; a fair one does not
    graph = graph_of(3, (0, 1), (1, 0), (1, 2))
    assert chance_bounds(graph, good=[2]) == Bounds(Fraction(1), Fraction(1))
    assert chance_bounds(graph, good=[2]).is_certain


def test_scheduling_may_try_its_luck_again_but_not_refuse_to_end() -> None:
    # 0 draws: 1/3 good (2), 2/3 on to 1; in 1 scheduling may go back to draw again, or give up (3)
    graph = graph_of(4, (0, 2, 1), (0, 1, 2), (1, 0), (1, 3))
    assert chance_bounds(graph, good=[2]) == Bounds(THIRD, Fraction(1))
    assert chance_bounds(graph, good=[3]) == Bounds(Fraction(0), 2 * THIRD)
    assert chance_bounds(graph, good=[3], state=1) == Bounds(Fraction(0), Fraction(1))
    assert not chance_bounds(graph, good=[]).is_possible


def test_policy_iteration_finds_the_best_of_several_risky_choices() -> None:
    # two states that lead to each other by chance; in each a careful and a bold choice
    graph = graph_of(
        4,
        (0, 1, 1, "careful"), (0, 2, 1, "careful"), (0, 1, 1, "bold"), (0, 3, 3, "bold"),
        (1, 0, 3, "careful"), (1, 2, 1, "careful"), (1, 2, 1, "bold"), (1, 3, 4, "bold"),
    )
    worth = [worth_under(graph, policy, frozenset([3])) for policy in policies(graph)]
    assert greatest_chances(graph, [3]) == [max(by_state) for by_state in zip(*worth, strict=True)]
    assert greatest_chances(graph, [3])[0] == Fraction(19, 20)


def test_equations_without_a_coupling_are_their_constants() -> None:
    assert solve([{}, {}], [HALF, THIRD]) == [HALF, THIRD]
    assert solve([{0: HALF}], [HALF]) == [Fraction(1)]
    assert solve([], []) == []


def coupled_at_random(count: int) -> StateGraph:
    """So many states that lead to any three others and, now and then, to one of two ends."""
    draw = Random(1)
    edges: list[tuple[int, int, int]] = []
    for state in range(count):
        edges.extend((state, draw.randrange(count), draw.randrange(1, 4)) for _ in range(3))
        if state % 10 == 0:
            edges.append((state, count + draw.randrange(2), 1))
    return graph_of(count + 3, *edges, (0, count + 2, 1), (count + 2, 0, 1), (count + 2, count, 1))


def test_what_is_too_large_to_be_solved_is_unknown_and_never_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = coupled_at_random(60)
    exact, bounds = end_chances(graph), chance_bounds(graph, good=[60])
    assert exact.unknown == 0
    assert bounds == Bounds(exact.ends[0], exact.ends[0])
    monkeypatch.setattr(solve, "__defaults__", (1000,))
    assert end_chances(graph).unknown == 1
    widened = chance_bounds(graph, good=[60])
    assert not widened.is_exact
    assert widened.least <= bounds.least <= bounds.greatest <= widened.greatest
