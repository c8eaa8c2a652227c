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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts: dict[str, Counter[str]] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue  # what was deselected, and warnings
            family = next((str(value) for name, value in report.user_properties if name == FAMILY), None)
            if family is not None and (report.when == "call" or outcome in ("error", "failed")):
                counts.setdefault(family, Counter())[COUNTED.get(outcome, "failed")] += 1
    if not counts:
        return
    terminalreporter.write_sep("=", "conformance")
    width = max(map(len, counts))
    for family, row in sorted(counts.items()):
        terminalreporter.write_line(f"{family:<{width}}  {_words(row)}")
    terminalreporter.write_line(f"{'all':<{width}}  {_words(sum(counts.values(), Counter[str]()))}")


def _words(row: Counter[str]) -> str:
    return ", ".join(f"{row[name]} {name}" for name in ("passed", "failed", "known deviation"))
