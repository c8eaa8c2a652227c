"""Tests of every folder can import the helpers that stand beside this file."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

# The same examples every time and on every machine; `--hypothesis-profile=hunt` looks for new ones.
settings.register_profile("same", derandomize=True, database=None, deadline=None, suppress_health_check=SLOW)
settings.register_profile("hunt", database=None, deadline=None, max_examples=3000, suppress_health_check=SLOW)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a golden file, and shows the difference as a diff; `--update-golden` rewrites the file."""
    updates = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if updates:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"{path} does not exist: run pytest with --update-golden, and review it")
        known = path.read_text(encoding="utf-8")
        if known != text:
            diff = difflib.unified_diff(known.splitlines(), text.splitlines(), "golden", "now", lineterm="", n=2)
            said = f"{path} differs; if that is meant, run pytest with --update-golden"
            pytest.fail("\n".join([said, *diff]), pytrace=False)

    return compare
