"""How Go's map order breaks ties."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.binding.ties import GROUP, TRACKED, Slots, go_map_weights, insert, remove


def filled(*names: str) -> Slots:
    slots: Slots = ()
    for name in names:
        slots = insert(slots, name)
    return slots


def walked(slots: Slots, tied: Sequence[str]) -> tuple[int, ...]:
    """From each of eight starting slots, which of the tied entries is met first; counted."""
    first = [
        next(name for step in range(GROUP) if (name := dict(enumerate(slots)).get((start + step) % GROUP)) in tied)
        for start in range(GROUP)
    ]
    return tuple(first.count(name) for name in tied)


@pytest.mark.rule("VB-33")
def test_of_three_tied_volumes_the_first_inserted_wins_six_times_in_eight() -> None:
    assert go_map_weights([0, 1, 2], 3) == (6, 1, 1)


@given(names=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30), data=st.data())
def test_up_to_eight_entries_the_weights_are_those_of_a_walk(names: list[str], data: st.DataObject) -> None:
    slots: Slots = ()
    for name in names:
        slots = remove(slots, name) if name in slots else insert(slots, name)
    present = [name for name in slots if name is not None]
    if present:
        tied = data.draw(st.lists(st.sampled_from(present), min_size=1, unique=True))
        assert go_map_weights([slots.index(name) for name in tied], len(slots)) == walked(slots, tied)


def test_a_free_slot_is_taken_again_and_others_keep_theirs() -> None:
    slots = remove(filled("a", "b", "c"), "b")
    assert slots == ("a", None, "c")
    assert insert(slots, "d") == ("a", "d", "c")
    assert insert(slots, "c") == slots
    assert remove(slots, "b") == slots
    assert remove(remove(slots, "c"), "a") == ()


@pytest.mark.parametrize(("size", "share"), [(2, 0.875), (3, 0.75), (5, 0.5), (9, 0.31), (20, 0.12)])
def test_the_first_inserted_is_favoured_as_measured(size: int, share: float) -> None:
    weights = go_map_weights(range(size), size)
    assert weights is not None
    assert weights[0] / sum(weights) == pytest.approx(share, abs=0.01 if size <= GROUP else 0.03)


@given(size=st.integers(GROUP + 1, TRACKED), data=st.data())
def test_in_a_larger_map_every_entry_can_be_met_first(size: int, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True))
    weights = go_map_weights(positions, size)
    assert weights is not None
    assert len(weights) == len(positions) and min(weights) >= 1_000_000
    assert go_map_weights(positions[::-1], size) == weights[::-1]


def converges(nodes: Sequence[int], replicas: int) -> Fraction:
    """How likely replicas land on different nodes, if each takes one of the volumes left by these weights."""

    @cache
    def chance(left: tuple[int, ...], used: frozenset[int], wanted: int) -> Fraction:
        if not wanted:
            return Fraction(1)
        weights = go_map_weights(left, len(nodes))
        assert weights is not None
        total = Fraction(0)
        for turn, volume in enumerate(left):
            if nodes[volume] not in used:
                rest = (*left[:turn], *left[turn + 1:])
                total += Fraction(weights[turn], sum(weights)) * chance(rest, used | {nodes[volume]}, wanted - 1)
        return total

    return chance(tuple(range(len(nodes))), frozenset(), replicas)


@pytest.mark.rule("VB-33")
@pytest.mark.parametrize(("nodes", "volumes", "replicas", "node_by_node", "round_robin"), [
    (3, 2, 2, 0.670, 0.847), (3, 2, 3, 0.232, 0.530), (3, 3, 2, 0.628, 0.788), (3, 3, 3, 0.208, 0.378),
    (5, 4, 3, 0.482, 0.584),
])
def test_sets_converge_about_as_often_as_with_the_real_function(
    nodes: int, volumes: int, replicas: int, node_by_node: float, round_robin: float
) -> None:
    count = nodes * volumes
    in_turn = [volume // volumes for volume in range(count)]
    mixed = [volume % nodes for volume in range(count)]
    # the measured figures have a standard error of 0.0035; a map of more than eight entries is approximated
    near = 0.01 if count <= GROUP else 0.02
    assert float(converges(in_turn, replicas)) == pytest.approx(node_by_node, abs=near)
    assert float(converges(mixed, replicas)) == pytest.approx(round_robin, abs=near)


def test_a_very_large_map_is_not_tracked() -> None:
    assert go_map_weights([0, 1], TRACKED + 1) is None
    weights = go_map_weights([0, 1], TRACKED)
    assert weights is not None and min(weights) > 0
