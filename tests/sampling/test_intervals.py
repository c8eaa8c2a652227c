from __future__ import annotations

from itertools import islice
from math import comb

import pytest

from simulator.sampling.intervals import half_width, looks, standard_deviations, wilson


@pytest.mark.parametrize(("hits", "runs", "low", "high"), [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718),
])
def test_wilsons_interval_has_the_ends_that_newcombe_published(hits: int, runs: int, low: float, high: float) -> None:
    """Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I, method 3."""
    assert [round(end, 4) for end in wilson(hits, runs)] == [low, high]


def test_the_ends_are_exact_where_all_or_none_hit() -> None:
    for runs in (1, 7, 100, 12_345):
        assert wilson(0, runs)[0] == 0.0 and wilson(runs, runs)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_mirrors_the_share() -> None:
    for hits in range(41):
        low, high = wilson(hits, 40, 0.99)
        other = wilson(40 - hits, 40, 0.99)
        assert (low, high) == pytest.approx((1 - other[1], 1 - other[0]), abs=1e-12)


def test_more_confidence_makes_it_wider_and_more_runs_narrower() -> None:
    assert half_width(30, 100, 0.9) < half_width(30, 100) < half_width(30, 100, 0.999)
    assert half_width(300, 1000) < half_width(30, 100)
    assert standard_deviations(0.6826894921370859) == pytest.approx(1, abs=1e-9)


def test_it_is_looked_at_after_ever_more_runs() -> None:
    assert list(islice(looks(), 6)) == [100, 125, 157, 197, 247, 309]


def coverage(share: float, precision: float) -> float:
    """How likely the interval at which one stops holds the share; exact, all numbers of hits gone through."""
    chances, runs, held = {0: 1.0}, 0, 0.0
    look = looks()
    while sum(chances.values()) > 1e-6:
        more = next(look) - runs
        steps = [(hits, comb(more, hits) * share**hits * (1 - share)**(more - hits)) for hits in range(more + 1)]
        steps = [(hits, chance) for hits, chance in steps if chance > 1e-9]
        after: dict[int, float] = {}
        for before, likely in chances.items():
            for hits, chance in steps:
                after[before + hits] = after.get(before + hits, 0.0) + likely * chance
        runs, chances = runs + more, {}
        for hits, chance in after.items():
            if half_width(hits, runs) > precision:
                chances[hits] = chance
            elif wilson(hits, runs)[0] <= share <= wilson(hits, runs)[1]:
                held += chance
    return held


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.32, 0.5])
def test_looking_again_and_again_takes_hardly_anything_off_the_confidence(share: float) -> None:
    assert coverage(share, 0.05) > 0.94
