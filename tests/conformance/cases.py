"""Gathers conformance cases from files of both formats: what to check of each, and its family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from tests.conformance.recorded_case import check as check_recorded
from tests.conformance.recorded_frequencies import BETWEEN, FRESH, LEAST_RUNS

UPSTREAM, FIRST_RUN, OUTCOMES, FREQUENCIES = "upstream", "first run", "outcomes", "frequencies"
DEVIATIONS = Path(__file__).parent / "deviations.yaml"
POLICIES = {
    # a control plane of its own for each run, and six volumes
    "02g-devil-2-fresh-interleaved": FRESH,
    # control planes that served many runs, so that their maps had holes
    "02b-devil-3-noclass": BETWEEN,
    "02c-devil-2-immediate": BETWEEN,  # with names, go-map up to a half of each; uniform alone is rejected
    "02e-devil-long-look": BETWEEN,
    "05-parallel-2-noclass": BETWEEN,
    "06a-two-claims-immediate": BETWEEN,
}
"""The tie policy that fits a case; any other lies between the two."""


class Case(Struct, frozen=True):
    """One check of one case.

    Attributes
    ----------
    check : what is checked.
    family : under which it is counted.
    raw : the case as it stands in its file; None if the file could not be read.
    problem : why not.
    deviation : the reason, if it is known to differ.
    """

    id: str
    check: str
    family: str
    path: str
    raw: dict[str, Any] | None = None
    problem: str = ""
    deviation: str = ""


def gather(folders: Sequence[Path]) -> tuple[Case, ...]:
    """All cases of the files below some folders, in order."""
    return _gather(tuple(str(folder) for folder in folders))


@cache
def _gather(folders: tuple[str, ...]) -> tuple[Case, ...]:
    known: dict[str, dict[str, str]] = yaml.safe_load(DEVIATIONS.read_text())
    found: list[Case] = []
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".yaml", ".yml"):
                found.extend(_upstream(path, known))
            elif path.suffix == ".json":
                found.extend(_recorded(path, known))
    return tuple(found)


def _upstream(path: Path, known: dict[str, dict[str, str]]) -> Iterator[Case]:
    try:
        cases = yaml.safe_load(path.read_text())
        for case in cases:
            name = case["id"]
            yield Case(name, UPSTREAM, f"upstream {name.partition('-')[0]}", str(path), case,
                       deviation=known[UPSTREAM].get(name, ""))
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as problem:
        yield Case(path.stem, UPSTREAM, "upstream, unreadable", str(path), problem=repr(problem))


def _recorded(path: Path, known: dict[str, dict[str, str]]) -> Iterator[Case]:
    import json

    try:
        case = json.loads(path.read_text())
        name, runs = case["id"], case["runs"]
        check_recorded(case)
    except Exception as problem:  # whatever is wrong with the file is shown as the failure of its test
        yield Case(path.stem, FIRST_RUN, "recorded, unreadable", str(path), problem=repr(problem))
        return
    is_random = name.startswith("random-")
    kind = "random" if is_random else "recorded"
    checks = [FIRST_RUN]
    if runs > 1:
        checks.append(OUTCOMES)
    if runs >= LEAST_RUNS and not is_random:
        checks.append(FREQUENCIES)
    for check in checks:
        yield Case(name, check, f"{kind}, {check}", str(path), case, deviation=known[check].get(name, ""))
