"""The devil over many seeds: each tie policy has its own distribution, and it is the one worked out elsewhere."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest

from simulator.comparison import compare
from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import run
from simulator.testing.strategies import SmallCluster, SmallNode, SmallSet, SmallVolume

DEVIL = str(Path(__file__).parents[2] / "scenarios" / "devil")
RUNS = 300
ALPHA = 1e-4


def is_likely(hits: int, runs: int, chance: float) -> bool:
    """Whether so many hits pass a two-sided binomial test: no less likely results make up less than ALPHA."""
    weights = [comb(runs, count) * chance**count * (1 - chance) ** (runs - count) for count in range(runs + 1)]
    return sum(weight for weight in weights if weight <= weights[hits] * (1 + 1e-9)) >= ALPHA


def verdicts(scenario: Scenario, ties: str, runs: int = RUNS) -> Counter[str]:
    return Counter(run(scenario, seed=seed, ties=ties, keep_log=False).verdict for seed in range(1, runs + 1))


def devil(volumes: int, binding: str = "Immediate") -> Scenario:
    return load_scenario([DEVIL], {"volumesPerNode": str(volumes), "bindingMode": binding})


def test_the_test_itself_can_tell_such_odds_apart() -> None:
    assert is_likely(round(RUNS * 19 / 28), RUNS, 19 / 28)
    assert not is_likely(round(RUNS * 19 / 28), RUNS, 1 - 0.208)
    assert not is_likely(round(RUNS * 3 / 5), RUNS, 1 - 0.232)


@pytest.mark.parametrize(("volumes", "stuck"), [(2, Fraction(3, 5)), (3, Fraction(19, 28))], ids=str)
def test_uniform_ties_are_stuck_as_often_as_the_closed_form_says(volumes: int, stuck: Fraction) -> None:
    found = verdicts(devil(volumes), "uniform")
    assert found.keys() == {"stuck", "converged"}
    assert is_likely(found["stuck"], RUNS, float(stuck)), found


@pytest.mark.parametrize("ties", ["uniform", "go-map", "first", "last"])
def test_one_volume_on_each_machine_is_never_stuck(ties: str) -> None:
    assert verdicts(devil(1), ties, 25) == {"converged": 25}


@pytest.mark.parametrize("ties", ["uniform", "go-map", "first", "last"])
@pytest.mark.parametrize("volumes", [2, 3])
def test_waiting_for_the_first_consumer_is_never_stuck(volumes: int, ties: str) -> None:
    assert verdicts(devil(volumes, "WaitForFirstConsumer"), ties, 25) == {"converged": 25}


@pytest.mark.parametrize(("round_robin", "converges"), [(False, 0.208), (True, 0.378)], ids=["by node", "round-robin"])
def test_go_map_depends_on_the_order_in_which_volumes_were_created(round_robin: bool, converges: float) -> None:
    cluster = SmallCluster(
        nodes=(SmallNode(volumes=(SmallVolume(),) * 3),) * 3, sets=(SmallSet(replicas=3, apart=True),),
        round_robin=round_robin,
    )
    scenario = cluster.scenario() if round_robin else devil(3)  # the devil's volumes are created node by node
    found = verdicts(scenario, "go-map")
    assert is_likely(found["converged"], RUNS, converges), found


@pytest.mark.parametrize("ties", ["first", "last"])
def test_first_and_last_leave_nothing_to_chance(ties: str) -> None:
    assert verdicts(devil(3), ties, 20) == {"stuck": 20}


def test_compare_counts_the_same_runs_with_one_process_as_with_two() -> None:
    settings = [{"volumesPerNode": "2"}, {"bindingMode": "WaitForFirstConsumer"}]
    alone, together = (compare([DEVIL], settings, range(1, 41), jobs=jobs) for jobs in (1, 2))
    assert alone == together
    expected = Counter(run(devil(2), seed=seed, keep_log=False).verdict for seed in range(1, 41))
    assert {verdict: alone[0].count(verdict) for verdict in expected} == expected
    assert alone[1].count("converged") == 40
