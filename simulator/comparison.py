"""Several settings side by side: every combination of values, each over the same seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from msgspec import Struct

from simulator.errors import ScenarioError
from simulator.sampling.processes import in_order
from simulator.units import Micros

CHUNK = 25
"""Seeds a process takes at a time: enough work to be worth the hand-over, little enough to show progress."""


class Outcome(Struct, frozen=True):
    """How one run ended; `time` is when the last object changed."""

    verdict: str
    time: Micros
    waiting: tuple[str, ...]


class Row(Struct):
    """One setting, and how its runs ended, in order of the seeds."""

    settings: dict[str, str]
    outcomes: list[Outcome]

    def count(self, verdict: str) -> int:
        """How many runs ended so."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


class _Job(Struct, frozen=True):
    sources: tuple[str, ...]
    settings: dict[str, str]
    nodes: int | None
    ties: str | None
    until: Micros | None
    seeds: tuple[int, ...]


def grid(vary: Sequence[str]) -> list[dict[str, str]]:
    """All combinations of ``KEY=A,B`` arguments, the last varying fastest.

    Raises
    ------
    ScenarioError
        If an argument has no "=" or no value, or names a parameter for the second time.
    """
    axes: list[list[tuple[str, str]]] = []
    for written in vary:
        key, sign, values = written.partition("=")
        if not sign or not key or not values:
            raise ScenarioError(f"--vary {written}: write KEY=A,B, such as --vary volumesPerNode=1,2,3.")
        if any(known == key for axis in axes for known, _ in axis[:1]):
            raise ScenarioError(f"--vary {written}: {key} is varied already. Give all its values together: {key}=A,B.")
        axes.append([(key, value) for value in values.split(",")])
    return [dict(combination) for combination in product(*axes)]


def compare(
    sources: Sequence[str],
    settings: Sequence[Mapping[str, str]],
    seeds: Sequence[int],
    *,
    nodes: int | None = None,
    ties: str | None = None,
    until: Micros | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Run a scenario under several settings, each with each seed.

    Parameters
    ----------
    settings : one mapping from parameter to text for each row.
    jobs : processes; one for each core if not given. The result does not depend on it.
    progress : called with (runs done, runs in all).

    Raises
    ------
    ScenarioError, ManifestError
        If the input cannot be used under some setting.
    """
    from simulator.scenario.load import load_scenario

    if "-" in sources:
        raise ScenarioError("-: standard input can be read only once, and compare reads for each setting. Give a file.")
    for setting in settings:
        load_scenario(sources, setting, nodes)  # what is wrong with the input is said before any process starts
    rows = [Row(dict(setting), []) for setting in settings]
    work = [
        (row, _Job(tuple(sources), row.settings, nodes, ties, until, chunk))
        for row in rows
        for chunk in _chunks(seeds)
    ]
    total, done = len(rows) * len(seeds), 0
    workers = max(1, min(jobs or os.cpu_count() or 1, len(work)))
    for (row, job), outcomes in zip(work, in_order(_carry_out, None, (job for _, job in work), workers), strict=True):
        row.outcomes.extend(outcomes)
        done += len(job.seeds)
        progress(done, total)
    return rows


def _chunks(seeds: Sequence[int]) -> Iterator[tuple[int, ...]]:
    rest = iter(seeds)
    while chunk := tuple(islice(rest, CHUNK)):
        yield chunk


def _carry_out(shared: None, job: _Job) -> list[Outcome]:
    from simulator.scenario.load import load_scenario
    from simulator.simulation import run

    scenario: Any = load_scenario(job.sources, job.settings, job.nodes)
    outcomes = []
    for seed in job.seeds:
        result = run(scenario, seed=seed, ties=job.ties, until=job.until, keep_log=False)
        outcomes.append(Outcome(result.verdict, result.world.last_change, tuple(map(str, result.waiting))))
    return outcomes
