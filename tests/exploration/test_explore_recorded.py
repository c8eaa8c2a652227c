"""What a real control plane came to is among the ends of the same case, stage after stage.

A stage is explored from the beginning of its case, names and all. Kept apart, as it takes some time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.exploration.explore import explore
from tests.conformance.recorded_case import load
from tests.conformance.recorded_outcomes import templates_of
from tests.exploration.recorded_scenes import CannotTell, facts_of, says, scenario_of, times_of

RECORDED = sorted((Path(__file__).parents[1] / "conformance" / "recorded").glob("*.json"))
MOST = 6000
IN_ANY_ORDER = {"random-027"}
"""Cases of which some outcome takes another order than first come, first served."""
TIMED = {"07c-retention-scaled-only": "the client comes back while a pod is being deleted, half a second later"}
"""Cases whose outcome depends on how long something takes."""


def outcomes_of(stage: dict[str, Any]) -> list[str]:
    observed = stage["observed"]
    return list(observed["full"]) if "full" in observed else [observed["firstRun"]["outcome"]["full"]]


@pytest.mark.parametrize("path", [
    pytest.param(path, marks=pytest.mark.xfail(reason=TIMED[path.stem])) if path.stem in TIMED else path
    for path in RECORDED
], ids=lambda path: path.stem)
def test_every_recorded_outcome_is_an_end(path: Path) -> None:
    case = load(path)
    templates, begins = templates_of(case), times_of(case)
    for number, stage in enumerate(case["stages"], 1):
        try:
            scenario = scenario_of(case, begins, number)
        except CannotTell as action:
            if number == 1:
                pytest.skip(f"no word for {action}")
            break
        missing = outcomes_of(stage)
        for interleavings in ("ties", "syncs") if path.stem in IN_ANY_ORDER else ("ties",):
            found = explore(scenario, interleavings=interleavings, is_symmetric=False, most_states=MOST)
            assert found.is_complete
            missing = [one for one in missing if not any(says(end, one, templates) for end in found.ends)]
            if not missing:
                break
        assert not missing, stage["name"]


def test_an_outcome_that_no_run_comes_to_is_missed() -> None:
    case = load(next(path for path in RECORDED if path.stem == "04a-sizes-success"))
    found = explore(scenario_of(case, times_of(case), 1))
    wrong = "web-0 ok@node4 [pv-3]; web-1 ok@node2 [pv-1]; web-2 ok@node3 [pv-2]"
    right, = outcomes_of(case["stages"][0])
    templates = templates_of(case)
    assert any(says(end, right, templates) for end in found.ends)
    assert not any(says(end, wrong, templates) for end in found.ends)


def test_words_of_the_recordings_are_understood() -> None:
    assert facts_of("db-0 ok@n2 [v4,unbound]; db-1 pending [none,none] | pod p not ready@n1 | claim c Bound=v9", {
        "db": ["data", "wal"]}) == {
        "pod db-0": "n2", "claim data-db-0": "v4", "claim wal-db-0": "", "pod db-1": "", "claim data-db-1": "",
        "claim wal-db-1": "", "pod p": "n1", "claim c": "v9"}
