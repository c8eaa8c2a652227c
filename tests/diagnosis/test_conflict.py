"""Cores and ways out, on conflicts of which everything is known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from simulator.diagnosis.conflict import CORES, find_conflict, find_core, is_core, is_way_out
from simulator.diagnosis.fact import Fact

NAMES = "abcdef"
FACTS = [Fact(name, name, (), "", lambda draft: None) for name in NAMES]


def of(names: Iterable[str]) -> list[Fact]:
    return [fact for fact in FACTS if fact.name in set(names)]


class Held:
    """An object that each of some sets of facts holds, and nothing else; it counts how often it is asked."""

    def __init__(self, holders: Iterable[Iterable[str]]) -> None:
        self.holders = [frozenset(holder) for holder in holders]
        self.asked = 0

    def __call__(self, gone: Iterable[Fact]) -> bool:
        self.asked += 1
        left = set(NAMES) - {fact.name for fact in gone}
        return not any(holder <= left for holder in self.holders)


def names(facts: Iterable[Fact]) -> str:
    return "".join(fact.name for fact in facts)


def test_one_core_of_which_each_member_is_a_way_out() -> None:
    found = find_conflict(FACTS, Held(["bde"]))
    assert [names(core) for core in found.cores] == ["bde"] and found.is_certified
    assert [names(way) for way in found.ways_out] == ["b", "d", "e"]


def test_where_one_way_out_is_not_enough_the_other_core_is_told_too() -> None:
    found = find_conflict(FACTS, Held(["ab", "cd"]))
    assert [names(core) for core in found.cores] == ["ab", "cd"]
    assert found.ways_out and all(len(way) == 2 for way in found.ways_out)


def test_facts_that_come_first_are_preferred() -> None:
    assert names(find_core(FACTS, (), Held(["ef", "ab"]))) == "ab"


def test_what_no_fact_explains_has_no_core() -> None:
    assert not find_conflict(FACTS, lambda gone: False).is_certified
    assert not find_conflict(FACTS, lambda gone: True).is_certified
    assert not find_conflict([], lambda gone: False).is_certified


@given(st.sets(st.frozensets(st.sampled_from(NAMES), min_size=1)))
def test_a_core_is_true_even_where_facts_undo_each_other(freeing: set[frozenset[str]]) -> None:
    """Any sets of facts free it, taken away, and not what contains them; all of them together do."""
    def resolves(gone: Iterable[Fact]) -> bool:
        names = frozenset(fact.name for fact in gone)
        return names in freeing or len(names) == len(NAMES)

    found = find_conflict(FACTS, resolves)
    assert found.is_certified and all(is_core(core, FACTS, resolves) for core in found.cores)
    assert all(is_way_out(way, resolves) for way in found.ways_out)


def test_a_core_among_many_facts_takes_few_experiments() -> None:
    facts = [Fact(f"f{number}", "", (), "", lambda draft: None) for number in range(200)]
    asked = 0

    def resolves(gone: Iterable[Fact]) -> bool:
        nonlocal asked
        asked += 1
        return bool({"f10", "f150"} & {fact.name for fact in gone})

    assert [fact.name for fact in find_core(facts, (), resolves)] == ["f10", "f150"]
    assert asked < 40


holders = st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), min_size=1, max_size=4)


@given(holders)
def test_cores_and_ways_out_are_irreducible_and_true(sets: list[set[str]]) -> None:
    held = Held(sets)
    found = find_conflict(FACTS, held)
    minimal = {frozenset(one) for one in sets if not any(other < one for other in sets)}
    assert found.is_certified and 1 <= len(found.cores) <= CORES
    for core in found.cores:
        assert frozenset(names(core)) in minimal and is_core(core, FACTS, held)
    for way in found.ways_out:
        assert is_way_out(way, held)
        assert all(set(names(way)) & set(names(core)) for core in found.cores), "a way out leaves no core whole"


@given(holders)
def test_a_single_core_whose_members_all_free_it_is_all_there_is(sets: list[set[str]]) -> None:
    held = Held(sets)
    found = find_conflict(FACTS, held)
    if {names(way) for way in found.ways_out} == set(names(found.cores[0])):
        every = chain.from_iterable(combinations(NAMES, size) for size in range(1, len(NAMES) + 1))
        cores = [names(of(some)) for some in every if is_core(of(some), FACTS, held)]
        assert cores == [names(found.cores[0])] and all(set(cores[0]) <= one for one in sets)
