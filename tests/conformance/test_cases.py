"""Every case of both formats; ``--cases DIR`` names a folder of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.conformance import upstream_scheduler, upstream_statefulset, upstream_volumes
from tests.conformance.cases import FIRST_RUN, FREQUENCIES, OUTCOMES, POLICIES, UPSTREAM, Case
from tests.conformance.recorded_frequencies import BETWEEN, probabilities
from tests.conformance.recorded_repeated import unreached
from tests.conformance.recorded_single import differences

REJECTED = 0.001

Test = TypeVar("Test", bound=Callable[..., None])


def checks(what: str) -> Callable[[Test], Test]:
    """The cases of a check are the parameters of a test (see conftest)."""

    def mark(test: Test) -> Test:
        test.check = what  # type: ignore[attr-defined]
        return test

    return mark


def raw(case: Case) -> dict[str, Any]:
    """The case, if it could be read."""
    if case.raw is None:
        pytest.fail(f"{case.path}: {case.problem}")
    return case.raw


@checks(UPSTREAM)
def test_the_answer_is_that_of_kubernetes(case: Case) -> None:
    known = raw(case)
    (action,) = known["when"]
    if action == "runStatefulSet":
        upstream_statefulset.run_case(known)
        return
    runner = upstream_volumes if action in ("matchVolume", "syncClaims") else upstream_scheduler
    expected, found = runner.run(known)
    assert found == expected, known["rule"]


@checks(FIRST_RUN)
def test_the_first_run_goes_as_it_was_recorded(case: Case) -> None:
    found = differences(raw(case))
    assert not found, "\n".join(found)


@checks(OUTCOMES)
def test_every_observed_outcome_is_reachable(case: Case) -> None:
    found = unreached(raw(case))
    assert not found, "\n".join(found)


@checks(FREQUENCIES)
def test_outcomes_are_as_frequent_as_they_were_observed(case: Case) -> None:
    found = probabilities(raw(case), POLICIES.get(case.id, BETWEEN))
    assert all(chance >= REJECTED for chance in found.values()), found
