"""Reading the cases of the scheduler's plug-ins: what is not understood fails."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance import upstream_scheduler

FILES = {
    "filter-volumes.yaml": 21, "volume-plugins.yaml": 9, "interpod-affinity.yaml": 16, "topology-spread.yaml": 11,
    "node-filters.yaml": 18, "score.yaml": 16, "schedule.yaml": 4,
}


def test_no_case_is_left_out() -> None:
    assert {file: len(upstream_scheduler.load(file)) for file in FILES} == FILES


@pytest.mark.parametrize("change", [
    {"whenever": {}},
    {"config": {"featureGate": {}}},
    {"config": {"featureGates": {"NoSuchGate": True}}},
    {"config": {"pluginArgs": {"NoSuchPlugin": {}}}},
    {"config": {"pluginArgs": {"InterPodAffinity": {"weight": 1}}}},
    {"given": {"machines": []}},
])
def test_a_case_that_is_not_understood_fails_loudly(change: dict[str, Any]) -> None:
    case = upstream_scheduler.load("score.yaml")[0]
    with pytest.raises((upstream_scheduler.Unknown, ValueError)):
        upstream_scheduler.run({**case, **change})


def test_a_misspelt_field_of_an_object_fails_loudly() -> None:
    case = upstream_scheduler.load("score.yaml")[0]
    case["given"]["pods"][0]["spec"]["nodename"] = "node1"
    with pytest.raises(upstream_scheduler.Unknown, match=r"Pod\.spec\.nodename"):
        upstream_scheduler.run(case)
