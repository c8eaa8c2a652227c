"""The option ``--cases``, and a summary that counts the cases by family."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FAMILY = "family"
OUTCOMES = {"passed": "passed", "failed": "failed", "skipped": "known deviation"}


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
    marks = {case.id: [pytest.mark.xfail(reason=case.deviation, strict=True)] if case.deviation else [] for case in found}
    metafunc.parametrize("case", [pytest.param(case, id=case.id, marks=marks[case.id]) for case in found])


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
            family = dict(getattr(report, "user_properties", ())).get(FAMILY)
            if family is not None and (report.when == "call" or outcome in ("error", "failed")):
                counts.setdefault(family, Counter())[
                    "known deviation" if outcome == "xfailed" else "passed" if outcome == "passed" else "failed"] += 1
    if not counts:
        return
    terminalreporter.write_sep("=", "conformance")
    width = max(map(len, counts))
    for family, row in sorted(counts.items()):
        words = [f"{row['passed']} passed", f"{row['failed']} failed"]
        if row["known deviation"]:
            words.append(f"{row['known deviation']} known deviations")
        terminalreporter.write_line(f"{family:<{width}}  {', '.join(words)}")
    total = sum(counts.values(), Counter[str]())
    terminalreporter.write_line(
        f"{'all':<{width}}  {total['passed']} passed, {total['failed']} failed, {total['known deviation']} known deviations")
