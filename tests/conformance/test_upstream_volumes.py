"""Reading the cases of the volume controller: what is not understood fails."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance import upstream_volumes

FILES = {"match.yaml": 29, "claims.yaml": 36}


def test_no_case_is_left_out() -> None:
    assert {file: len(upstream_volumes.load(file)) for file in FILES} == FILES


@pytest.mark.parametrize("change", [
    {"whenever": {}},
    {"given": {"machines": []}},
    {"when": {"syncEverything": {}}, "then": {"syncEverything": {}}},
    {"when": {"syncClaims": {"times": 2}}},
    {"then": {"syncClaims": {"claims": {"default/claim1": {"fase": "Bound"}}, "volumes": {}}}},
    {"then": {"syncClaims": {"claims": {}, "volumes": {}, "event": []}}},
])
def test_a_case_that_is_not_understood_fails_loudly(change: dict[str, Any]) -> None:
    case = upstream_volumes.load("claims.yaml")[0]
    with pytest.raises(upstream_volumes.Unknown):
        upstream_volumes.run({**case, **change})
