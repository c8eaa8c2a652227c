"""What the tests of preflights share: a folder of their own, and an exploration that looks at nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from simulator import Preflight, check
from simulator.eventlog import Log
from simulator.simulation import run
from tests.preflight.dumps import Plain, dump, manifest

Checks = Callable[..., Preflight]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Checks new objects against a cluster: both lists of plain objects, written as files first."""
    monkeypatch.chdir(tmp_path)

    def answer(present: Sequence[Plain] = (), new: Sequence[Plain] = (), **options: Any) -> Preflight:
        sources = []
        if present:
            Path("cluster.yaml").write_text(dump(*present), encoding="utf-8")
            sources.append("cluster.yaml")
        if new:
            Path("new.yaml").write_text(manifest(*new), encoding="utf-8")
            sources.append("new.yaml")
        return check(sources, jobs=1, **options)

    return answer


class FakeEnd:
    """An end of an exploration."""

    def __init__(self, verdict: str, chance: Fraction | None, waiting: dict[str, str] | None = None) -> None:
        self.verdict, self.chance, self.waiting = verdict, chance, waiting or {}


class FakeExploration:
    """What `explore` gives, as its contract says."""

    def __init__(self, ends: Sequence[FakeEnd], is_complete: bool = True, why_incomplete: str = "") -> None:
        self.ends, self.is_complete, self.why_incomplete = tuple(ends), is_complete, why_incomplete
        self.states = 7
        self.scenario: Any = None

    def trace(self, end: FakeEnd) -> Log:
        """A run with a log; which one does not matter here."""
        return run(self.scenario).log


Explores = Callable[[FakeExploration], None]


@pytest.fixture
def explored(monkeypatch: pytest.MonkeyPatch) -> Explores:
    """Puts a made-up exploration in the place of the real one, and lets no other proof hold."""
    monkeypatch.setattr("simulator.preflight.runs.room_to_spare", lambda *given: "")
    monkeypatch.setattr("simulator.preflight.runs.without_what_runs", lambda *given: None)
    monkeypatch.setattr("simulator.preflight.runs.MOST_RUNS", 60)

    def put(found: FakeExploration) -> None:
        def explore(scenario: Any, **options: Any) -> FakeExploration:
            found.scenario = scenario
            return found

        module = ModuleType("simulator.exploration.explore")
        module.explore = explore  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "simulator.exploration.explore", module)

    return put


@pytest.fixture
def unexplored(explored: Explores) -> None:
    """No exploration comes to an end."""
    explored(FakeExploration((), is_complete=False, why_incomplete="so many states, and no end"))
