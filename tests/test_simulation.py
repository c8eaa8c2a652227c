from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.choices import Scripted
from simulator.errors import ManifestError
from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import run
from simulator.units import HOUR, MINUTE, SECOND

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.fixture(scope="module")
def devil() -> Scenario:
    return load_scenario([str(SCENARIOS / "devil")])


def test_the_same_seed_gives_the_same_log_byte_for_byte(devil: Scenario) -> None:
    first, again, other = (b"".join(run(devil, seed=seed).log.lines()) for seed in (1, 1, 2))
    assert first == again != other


def test_the_last_entry_of_a_log_is_the_verdict(devil: Scenario) -> None:
    for seed in range(6):
        result = run(devil, seed=seed)
        last = result.log.entries[-1]
        assert last.verb == "verdict" and last.detail is not None
        assert (last.detail["verdict"], last.detail["why"]) == (result.verdict, result.why)
        assert last.detail["waiting"] == [str(key) for key in result.waiting]
        assert (result.verdict == "converged") == (not result.waiting)


def test_a_stuck_run_waits_long_enough_for_every_timer(devil: Scenario) -> None:
    stuck = next(result for seed in range(20) if (result := run(devil, seed=seed)).verdict == "stuck")
    assert stuck.world.now - stuck.world.last_change >= 330 * SECOND
    assert stuck.world.in_flight == 0


def test_a_run_without_a_log_ends_in_the_same_way(devil: Scenario) -> None:
    for seed in range(6):
        full, short = run(devil, seed=seed), run(devil, seed=seed, keep_log=False)
        assert (full.verdict, full.why, full.waiting) == (short.verdict, short.why, short.waiting)
        assert len(short.log.entries) == 1


def test_a_horizon_that_is_given_is_run_to_even_if_all_is_well_before(devil: Scenario) -> None:
    mended = load_scenario([str(SCENARIOS / "devil")], {"bindingMode": "WaitForFirstConsumer"})
    assert run(mended).world.now < MINUTE
    long = run(mended, until=HOUR)
    assert long.world.now == HOUR and long.verdict == "converged"


def test_a_horizon_in_the_middle_of_it_gives_no_verdict(devil: Scenario) -> None:
    early = run(devil, until=2 * SECOND)
    assert early.verdict == "no verdict" and early.waiting and early.world.now == 2 * SECOND


def test_seed_ties_and_horizon_of_the_scenario_hold_unless_others_are_given(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("apiVersion: bindsim/v1\nkind: Scenario\nmetadata: {name: t}\n"
                    "spec: {nodes: {count: 1}, seed: 7, ties: last, until: 5s}\n")
    scenario = load_scenario([str(path)])
    own, given = run(scenario), run(scenario, seed=1, ties="first", until=SECOND)
    assert (own.log.header["seed"], own.log.header["ties"], own.world.now) == (7, "last", 5 * SECOND)
    assert (given.log.header["seed"], given.log.header["ties"], given.world.now) == (1, "first", SECOND)


def test_a_chooser_of_ones_own_answers_every_choice(devil: Scenario) -> None:
    chooser = Scripted([0, 0, 0])
    result = run(devil, chooser=chooser)
    assert {point for point, *_ in chooser.asked} <= {"volume", "node"} and chooser.asked
    assert result.verdict == "stuck"  # the first three volumes are all on the first node


def test_who_wants_to_watch_sees_the_cluster_before_it_starts(devil: Scenario) -> None:
    seen: list[Any] = []
    run(devil, prepare=lambda cluster: seen.append((cluster.world.now, cluster.world.last_change)))
    assert seen == [(0, 0)]


def test_an_initial_object_that_the_api_server_refuses_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "pv.yaml"
    path.write_text("apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv}\n"
                    "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}\n")
    with pytest.raises(ManifestError) as problem:
        run(load_scenario([str(path)]))
    assert str(problem.value).startswith(f"{path}:4: ") and "must specify a volume type" in str(problem.value)
