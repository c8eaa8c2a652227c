"""Reading the cases of the StatefulSet controller: what is not understood fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.upstream_statefulset import UnknownField, run_case

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "upstream" / "statefulset.yaml").read_text())


@pytest.mark.parametrize("broken", [
    {"surprise": 1},
    {"then": {"runStatefulSet": {"moods": []}}},
    {"when": {"runStatefulSet": {"statefulSet": "default/web", "steps": [{"dance": {}}]}}},
    {"when": {"runStatefulSet": {"statefulSet": "default/web", "steps": [{"reconcile": {"passes": 1, "fast": True}}]}}},
])
def test_a_case_that_is_not_understood_fails(broken: dict[str, Any]) -> None:
    with pytest.raises(UnknownField):
        run_case({**CASES[0], **broken})


def test_a_manifest_that_is_not_understood_fails() -> None:
    sts = CASES[0]["given"]["statefulSets"][0]
    odd = {**sts, "spec": {**sts["spec"], "replicaz": 3}}
    with pytest.raises(UnknownField, match=r"StatefulSet\.spec\.replicaz"):
        run_case({**CASES[0], "given": {"statefulSets": [odd]}})


def test_a_fact_that_does_not_hold_fails() -> None:
    with pytest.raises(AssertionError, match="pods"):
        run_case({**CASES[0], "then": {"runStatefulSet": {"pods": ["web-7"]}}})
