"""Closed forms against enumeration: every way in which claims can draw volumes, one after another, is gone through."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.sampling.closed_forms import (
    LARGEST,
    Level,
    Pool,
    elementary_symmetric,
    equal_nodes,
    level_by_level,
    several_classes,
    unequal_nodes,
)

ELSEWHERE = -1


def enumerated(places: Sequence[int], replicas: int, claims: int) -> Fraction:
    """Of all injections of claims into volumes, the share of those that give each pod a node of its own."""
    good = total = 0
    for drawn in permutations(places, replicas * claims):
        total += 1
        homes = [set(drawn[pod * claims:(pod + 1) * claims]) for pod in range(replicas)]
        nodes = {next(iter(home)) for home in homes}
        good += all(len(home) == 1 for home in homes) and len(nodes) == replicas and ELSEWHERE not in nodes
    return Fraction(good, total) if total else Fraction(0)


def places_of(counts: Sequence[int], elsewhere: int = 0) -> list[int]:
    return [node for node, count in enumerate(counts) for _ in range(count)] + [ELSEWHERE] * elsewhere


@pytest.mark.parametrize(("nodes", "volumes", "replicas", "claims"), [
    (3, 3, 3, 1), (3, 2, 3, 1), (2, 3, 2, 2), (4, 2, 2, 1), (3, 2, 2, 2), (2, 2, 3, 1), (2, 1, 2, 2), (1, 4, 1, 3),
    (3, 2, 3, 2), (2, 1, 5, 1),
])
def test_equal_nodes(nodes: int, volumes: int, replicas: int, claims: int) -> None:
    expected = enumerated(places_of([volumes] * nodes), replicas, claims)
    assert equal_nodes(nodes, volumes, replicas, claims) == expected
    assert unequal_nodes([volumes] * nodes, replicas, claims) == expected


@pytest.mark.parametrize(("counts", "elsewhere", "replicas", "claims"), [
    ((1, 2, 3), 0, 2, 1), ((1, 2, 3), 2, 2, 1), ((0, 3, 2), 1, 2, 2), ((1, 1, 1), 0, 3, 1), ((2, 2, 1, 1), 1, 3, 1),
    ((), 3, 1, 1), ((4,), 0, 2, 1), ((3, 3), 0, 2, 3),
])
def test_unequal_nodes(counts: tuple[int, ...], elsewhere: int, replicas: int, claims: int) -> None:
    expected = enumerated(places_of(counts, elsewhere), replicas, claims)
    assert unequal_nodes(counts, replicas, claims, elsewhere) == expected
    assert level_by_level(replicas, [Pool(claims, (Level(counts, elsewhere),))]) == expected


@pytest.mark.parametrize(("nodes", "volumes", "replicas"), [
    (2, (2, 2), 2), (3, (1, 2), 2), (3, (1, 1, 1), 2), (2, (3,), 2), (2, (1, 2), 3)])
def test_several_classes(nodes: int, volumes: tuple[int, ...], replicas: int) -> None:
    good = total = 0
    for drawn in product(*(permutations(places_of([count] * nodes), replicas) for count in volumes)):
        total += 1
        homes = [{draws[pod] for draws in drawn} for pod in range(replicas)]
        good += all(len(home) == 1 for home in homes) and len(set.union(*homes)) == replicas
    expected = Fraction(good, total) if total else Fraction(0)
    assert several_classes(nodes, volumes, replicas) == expected
    pools = [Pool(1, (Level((count,) * nodes),)) for count in volumes]
    assert level_by_level(replicas, pools) == expected


def drawn_one_by_one(replicas: int, pools: Sequence[Pool]) -> Fraction:
    """Claim after claim, pod after pod, each takes one of the smallest volumes left: the whole tree of choices."""
    left = [[places_of(level.on_nodes, level.elsewhere) for level in pool.levels] for pool in pools]
    claims = [(pod, pool) for pod in range(replicas) for pool in range(len(pools)) for _ in range(pools[pool].claims)]
    homes: dict[int, int] = {}

    def follow(turn: int) -> Fraction:
        if turn == len(claims):
            return Fraction(int(len(set(homes.values())) == replicas))
        pod, pool = claims[turn]
        smallest = next((level for level in left[pool] if level), None)
        if smallest is None:
            return Fraction(0)
        chance = Fraction(0)
        for position, node in enumerate(list(smallest)):
            is_first = pod not in homes
            if node == ELSEWHERE or homes.get(pod, node) != node:
                continue
            homes[pod] = node
            smallest.pop(position)
            chance += follow(turn + 1)
            smallest.insert(position, node)
            if is_first:
                del homes[pod]
        return chance / len(smallest)

    return follow(0)


@st.composite
def pools_of(draw: st.DrawFn, nodes: int) -> Pool:
    counts = st.tuples(*[st.integers(0, 2)] * nodes)
    levels = draw(st.lists(st.builds(Level, counts, st.integers(0, 1)), min_size=1, max_size=3))
    return Pool(draw(st.integers(1, 2)), tuple(levels))


@given(st.data())
def test_any_capacities_and_classes(data: st.DataObject) -> None:
    nodes, replicas = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    pools = data.draw(st.lists(pools_of(nodes), min_size=1, max_size=2))
    assert level_by_level(replicas, pools) == drawn_one_by_one(replicas, pools)


def test_a_level_that_is_used_up_leaves_the_rest_to_the_next() -> None:
    """One small volume on node 1 goes to the first pod; the second draws one of four large ones, two of them there."""
    assert level_by_level(2, [Pool(1, (Level((1, 0)), Level((2, 2))))]) == Fraction(1, 2)


@pytest.mark.parametrize(("nodes", "volumes", "replicas", "claims", "converges"), [
    (3, 3, 3, 1, Fraction(9, 28)), (5, 4, 3, 1, Fraction(32, 57)), (5, 4, 5, 1, Fraction(64, 969)),
    (10, 4, 10, 1, 0.001237), (100, 4, 10, 1, 0.703586), (100, 8, 20, 1, 0.165680), (3, 3, 3, 2, Fraction(3, 140)),
    (3, 2, 2, 1, 0.8), (3, 2, 3, 1, 0.4), (3, 3, 2, 1, 0.75), (10, 4, 5, 1, 0.3922),
])
def test_the_table_of_the_prototypes(
    nodes: int, volumes: int, replicas: int, claims: int, converges: Fraction | float,
) -> None:
    """Where a number is a decimal there, it agrees in all its digits."""
    found = equal_nodes(nodes, volumes, replicas, claims)
    if isinstance(converges, Fraction):
        assert found == converges
    else:
        assert round(float(found), len(str(converges)) - 2) == converges


def test_the_rows_of_the_table_with_unequal_nodes() -> None:
    assert float(unequal_nodes((1, 2, 3, 4, 5), 3)) == pytest.approx(0.494505, abs=5e-7)
    assert float(unequal_nodes((2, 2, 3, 4, 5), 2, 2)) == pytest.approx(0.026923, abs=5e-7)


def test_the_odds_that_everything_must_show() -> None:
    assert [1 - equal_nodes(3, volumes, 3) for volumes in (2, 3, 4)] == [
        Fraction(3, 5), Fraction(19, 28), Fraction(39, 55)]


@given(st.lists(st.integers(-5, 9), max_size=6), st.integers(0, 6))
def test_the_elementary_symmetric_polynomial_is_a_coefficient(terms: list[int], degree: int) -> None:
    """Of the product of all (1 + term x)."""
    coefficients = [1]
    for term in terms:
        shifted = [0, *(term * each for each in coefficients)]
        coefficients = [a + b for a, b in zip([*coefficients, 0], shifted, strict=True)]
    expected = coefficients[degree] if degree < len(coefficients) else 0
    assert elementary_symmetric(terms, degree) == expected


def test_what_takes_too_long_is_left_alone() -> None:
    """Every pod draws from a level of its own and half of the next."""
    levels = tuple(Level((1,) * 3) for _ in range(40))
    assert level_by_level(40, [Pool(2, levels)]) is None
    assert LARGEST < 2**40
