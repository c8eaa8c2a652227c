"""The option ``--cases``, and a summary that counts the cases by family."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FAMILY = "family"
COUNTED = {"passed": "passed", "xfailed": "known deviation"}
"""What pytest calls an outcome, and what the summary does; everything else counts as failed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", metavar="DIR", default=None,
                     help="run every conformance case under DIR (.yaml and .json) instead of the repository's own")
    parser.addoption("--write-agreement", action="store_true", help="write docs/agreement.md from this run")


def folders(config: pytest.Config) -> list[Path]:
    """Where the cases are."""
    given = config.getoption("--cases", default=None)
    if given is None:
        return [HERE / "upstream", HERE / "recorded"]
    folder = Path(given)
    if not folder.is_dir():
        raise pytest.UsageError(f"--cases {given}: not a folder")
    return [folder]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    check = getattr(metafunc.function, "check", None)
    if check is None:
        return
    from tests.conformance.cases import gather

    found = [case for case in gather(folders(metafunc.config)) if case.check == check]
    metafunc.parametrize("case", [
        pytest.param(case, id=case.id, marks=[pytest.mark.xfail(reason=case.deviation, strict=True)])
        if case.deviation else pytest.param(case, id=case.id) for case in found
    ])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        family = getattr(callspec.params.get("case"), FAMILY, None) if callspec is not None else None
        if family is not None:
            item.user_properties.append((FAMILY, family))


def _counts(terminalreporter: Any) -> dict[str, Counter[str]]:
    """The outcomes by family."""
    counts: dict[str, Counter[str]] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue  # what was deselected, and warnings
            family = next((str(value) for name, value in report.user_properties if name == FAMILY), None)
            if family is not None and (report.when == "call" or outcome in ("error", "failed")):
                counts.setdefault(family, Counter())[COUNTED.get(outcome, "failed")] += 1
    return counts


def _all_cases(config: pytest.Config) -> int:
    """How many cases the repository has; 0 if others are asked for."""
    from tests.conformance.cases import gather

    return len(gather(folders(config))) if config.getoption("--cases", default=None) is None else 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page of agreement, or fail the run if it was a whole one and the page says something else."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    counts = _counts(reporter)
    if not counts or sum(row.total() for row in counts.values()) != _all_cases(session.config):
        return
    from tests.conformance.agreement import PAGE, page

    text = page(counts)
    if session.config.getoption("--write-agreement"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        reporter.write_line("docs/agreement.md is old: run pytest tests/conformance --write-agreement", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts = _counts(terminalreporter)
    if not counts:
        return
    terminalreporter.write_sep("=", "conformance")
    width = max(map(len, counts))
    for family, row in sorted(counts.items()):
        terminalreporter.write_line(f"{family:<{width}}  {_words(row)}")
    terminalreporter.write_line(f"{'all':<{width}}  {_words(sum(counts.values(), Counter[str]()))}")


def _words(row: Counter[str]) -> str:
    return ", ".join(f"{row[name]} {name}" for name in ("passed", "failed", "known deviation"))
