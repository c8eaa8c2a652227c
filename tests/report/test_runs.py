"""Reports of real runs: the lab's scenarios, from memory and from the file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from simulator.api.kinds import KINDS, plural
from simulator.eventlog import Log, read_log
from simulator.report.data import run_result
from simulator.report.kubectl import Query, get
from simulator.report.state import state_at
from simulator.report.text import reason_lines, run_lines, timeline_lines
from simulator.report.watch import watch
from simulator.scenario.load import load_scenario
from simulator.simulation import run
from simulator.units import HOUR

SCENARIOS = Path(__file__).parents[2] / "scenarios"
LAB = sorted(path.parent.name for path in SCENARIOS.glob("lab/*/scenario.yaml"))


@cache
def log_of(scenario: str, seed: int = 1) -> Log:
    return run(load_scenario([str(SCENARIOS / scenario)]), seed=seed).log


def from_file(log: Log) -> Log:
    return read_log(list(log.lines()), "run.jsonl")


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_devils_timeline_fits_on_a_screen(seed: int) -> None:
    assert len(timeline_lines(log_of("devil", seed))) <= 25


def test_the_stuck_devil_is_explained_in_one_sentence() -> None:
    text = " ".join(" ".join(reason_lines(log_of("devil"))).split())
    assert re.search(
        r"consul-(\d) waits: its claim data-consul-\1 is bound to pv-node(\d)-\d, which exists only on node\2; "
        r"node\2 already runs consul-\d, and consul-\1 may not share a node with app=consul", text
    )


@pytest.mark.parametrize("name", LAB)
def test_a_lab_report_is_the_same_from_the_file(name: str) -> None:
    log = log_of(f"lab/{name}")
    assert run_lines(from_file(log)) == run_lines(log)
    assert run_result(from_file(log)) == run_result(log)


@pytest.mark.parametrize("name", LAB)
def test_every_table_can_be_had_at_every_moment(name: str) -> None:
    log = log_of(f"lab/{name}")
    everything = ",".join(plural(kind) for kind in KINDS)
    for moment in dict.fromkeys(entry.time for entry in log.entries[:: max(1, len(log.entries) // 10)]):
        for output in ("wide", "yaml", "json", "name"):
            assert get(state_at(log, moment), Query((everything,), None, output)).found


def test_a_watch_ends_where_the_run_ends() -> None:
    log = log_of("devil")
    *_, last = watch(log, Query(("pods",)))
    listed = get(state_at(log, log.end), Query(("pods",))).out
    assert last.split()[:3] == next(line for line in listed if line.startswith("consul-1")).split()[:3]


def test_nothing_is_left_of_events_after_an_hour() -> None:
    assert get(state_at(log_of("devil"), 2 * HOUR), Query(("events",))).err


@pytest.mark.parametrize("name", ["18c-stuck-and-mended", "21-cleaned-up-by-namespace"])
def test_a_run_can_be_explained_at_every_moment(name: str) -> None:
    log = log_of(f"lab/{name}")
    for end in range(0, len(log.entries), 3):
        part = Log(log.header)
        part.entries = log.entries[:end]
        assert run_lines(part)
