"""The same input, seed and version give the same log, byte for byte, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from simulator.scenario.load import load_scenario
from simulator.simulation import run
from simulator.testing.strategies import SmallCluster, SmallNode, SmallSet, SmallVolume

ROOT = Path(__file__).parents[2]


def log_of(folder: Path, hash_seed: str, *arguments: str) -> bytes:
    """The log that a process of its own writes."""
    path = folder / f"{hash_seed}.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "run", *arguments, "--log", str(path)],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    return path.read_bytes()


def log_here(source: str, seed: int | None = None, ties: str | None = None, **settings: str) -> bytes:
    return b"".join(run(load_scenario([source], settings), seed=seed, ties=ties).log.lines())


@pytest.mark.parametrize(("source", "options"), [
    ("scenarios/devil", ["--seed", "11"]),
    ("scenarios/devil", ["--seed", "11", "--ties", "go-map"]),
    ("scenarios/devil", ["--set", "bindingMode=WaitForFirstConsumer"]),
    ("scenarios/lab/10-ordered-or-parallel", ["--set", "podManagementPolicy=Parallel"]),
    ("scenarios/lab/08-dynamic-provisioner", []),
    ("scenarios/lab/04-node-fails-network-volume", []),
], ids=["devil", "devil under go-map", "devil that waits", "parallel", "provisioner", "node failure"])
def test_processes_with_different_hash_seeds_write_the_same_bytes(
    tmp_path: Path, source: str, options: Sequence[str],
) -> None:
    first, second = (log_of(tmp_path, hash_seed, source, *options) for hash_seed in ("1", "4242"))
    assert first == second
    assert first.count(b"\n") > 50


def test_a_process_of_its_own_writes_what_this_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert log_of(tmp_path, "7", "scenarios/devil", "--seed", "11") == log_here("scenarios/devil", seed=11)


def test_runs_before_it_in_the_same_process_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    alone = log_here("scenarios/devil", seed=3)
    log_here("scenarios/lab/08-dynamic-provisioner")
    log_here("scenarios/devil", seed=9, ties="last", bindingMode="WaitForFirstConsumer")
    assert log_here("scenarios/devil", seed=3) == alone


def test_two_seeds_give_the_devil_two_different_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    scenario = load_scenario(["scenarios/devil"])
    ends = {}
    for seed in range(8):
        entries = run(scenario, seed=seed).log.entries
        ends[seed] = tuple(entry.detail["chosen"] for entry in entries if entry.verb == "choose" and entry.detail)
    assert ends[0] != ends[1]
    assert len(set(ends.values())) > 5


def choices(cluster: SmallCluster, seed: int) -> dict[str, str]:
    """The volume that each claim drew among equals."""
    entries = run(cluster.scenario(), seed=seed).log.entries
    return {entry.key.name: entry.detail["chosen"] for entry in entries if entry.verb == "choose" and entry.detail}


@pytest.mark.parametrize("seed", range(20))
def test_a_choice_more_does_not_shift_those_before_it(seed: int) -> None:
    """Settings that are compared share their random numbers."""
    nodes = (SmallNode(volumes=(SmallVolume(),) * 3),) * 3
    two, three = (
        choices(SmallCluster(nodes=nodes, sets=(SmallSet(replicas=replicas),)), seed) for replicas in (2, 3)
    )
    assert two.keys() == {"data-web-0", "data-web-1"}
    assert two.items() <= three.items()
