"""What `bindsim run` says of every scenario that is shipped, and what happens in three of them step by step.

`pytest tests/whole --update-golden` rewrites the files; the diff is there to be reviewed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.api.meta import encode_json
from simulator.eventlog import Log
from simulator.report.text import run_lines
from simulator.scenario.load import load_scenario
from simulator.simulation import run
from simulator.units import format_duration

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
SCENARIOS = sorted(str(path.parent.relative_to(ROOT)) for path in (ROOT / "scenarios").rglob("scenario.yaml"))
STEP_BY_STEP = (
    "scenarios/lab/15-one-volume-per-node", "scenarios/lab/16-several-volumes-per-node",
    "scenarios/lab/17-wait-for-first-consumer",
)


Compare = Callable[[Path, str], None]


def play(source: str) -> Log:
    """The run that `bindsim test` looks at."""
    scenario = load_scenario([source])
    expected = scenario.spec.expect.run if scenario.spec.expect is not None else None
    return run(scenario, seed=expected.seed if expected is not None else None).log


def steps(log: Log) -> Iterator[str]:
    """The log, an entry a line: when, who, what, to which object, by which rule, and the change."""
    for entry in log.entries:
        parts = [format_duration(entry.time), entry.actor, entry.verb, str(entry.key), entry.rule]
        row = entry.plain()
        told = [encode_json(row[name]).decode() for name in ("detail", "patch") if name in row and entry.verb != "load"]
        yield " ".join(part for part in (*parts, *told) if part)


def name_of(source: str) -> str:
    return source.removeprefix("scenarios/").replace("/", "-")


@pytest.mark.parametrize("source", SCENARIOS, ids=name_of)
def test_the_report_is_as_it_was(source: str, golden: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    golden(GOLDEN / f"{name_of(source)}.txt", "\n".join(run_lines(play(source))) + "\n")


@pytest.mark.parametrize("source", STEP_BY_STEP, ids=name_of)
def test_the_log_is_as_it_was(source: str, golden: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    golden(GOLDEN / f"{name_of(source)}.log", "\n".join(steps(play(source))) + "\n")


def test_no_golden_file_is_left_over() -> None:
    reports = {f"{name_of(source)}.txt" for source in SCENARIOS}
    logs = {f"{name_of(source)}.log" for source in STEP_BY_STEP}
    assert {path.name for path in GOLDEN.iterdir()} == reports | logs


def test_a_difference_is_shown_as_a_diff(
    tmp_path: Path, golden: Compare, request: pytest.FixtureRequest,
) -> None:
    if request.config.getoption("--update-golden"):
        pytest.skip("nothing differs while golden files are rewritten")
    known = tmp_path / "known.txt"
    known.write_text("one\ntwo\nthree\n")
    golden(known, "one\ntwo\nthree\n")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)--update-golden.*-two\n\+TWO"):
        golden(known, "one\nTWO\nthree\n")
    with pytest.raises(pytest.fail.Exception, match="does not exist"):
        golden(tmp_path / "unknown.txt", "")
