"""Reads a recorded case strictly: whatever is not understood is an error, so that nothing in it is overlooked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

SPACE = "recorded-space"
"""The namespace that the recordings write as NS."""

CASE = {"id", "title", "description", "kubernetes", "runs", "kubelet", "controlPlaneFlags", "nodesKeptBetweenRuns",
        "nodes", "setup", "stages"}
STAGE = {"name", "actions", "waitSeconds", "observed"}
OBSERVED = {"shape", "full", "firstRun"}
FIRST_RUN = {"outcome", "ended", "state", "events", "log", "answers", "kubelet_waits"}
ACTIONS: Mapping[str, Set[str] | None] = {
    "apply": None, "delete": {"kind", "name", "grace", "propagation"},
    "patch": {"kind", "name", "patch", "type", "sub"},
    "scale": {"name", "replicas"}, "cordon": None, "uncordon": None, "taint": {"node", "taints"}, "stopNode": None,
    "startNode": None, "removeNode": None, "addNode": None, "evict": None, "neverReady": None,
    "provisionerFullOn": None, "provisionerImmediateNode": None, "sleepSeconds": None,
}


class Unknown(Exception):
    """A case says something that is not understood."""


def load(path: Path) -> dict[str, Any]:
    """A case, with its namespace in place.

    Raises
    ------
    Unknown
        For a field that is not understood.
    """
    case: dict[str, Any] = json.loads(path.read_text())
    check(case)
    return case


def check(case: Mapping[str, Any]) -> None:
    """Raise `Unknown` for a field that is not understood."""
    _only(case, CASE, "case")
    _only(case["kubelet"], {"ready_delay", "term_delay"}, "kubelet")
    _only(case.get("controlPlaneFlags", {}), set(), "controlPlaneFlags")
    for action in case["setup"]:
        _check_action(action)
    for stage in case["stages"]:
        _only(stage, STAGE, "stage")
        _only(stage["waitSeconds"], {"quiet", "min", "timeout"}, "waitSeconds")
        _only(stage["observed"], OBSERVED, "observed")
        _only(stage["observed"].get("firstRun", {}), FIRST_RUN, "firstRun")
        for action in stage["actions"]:
            _check_action(action)


def _check_action(action: Mapping[str, Any]) -> None:
    named = set(action) - {"mayFail"}
    if len(named) != 1 or not named <= set(ACTIONS):
        raise Unknown(f"action {', '.join(sorted(named))}")
    (name,) = named
    fields = ACTIONS[name]
    if fields is not None:
        _only(action[name], fields, name)


def _only(given: Mapping[str, Any], known: Set[str], where: str) -> None:
    if unknown := set(given) - known:
        raise Unknown(f"{where}: {', '.join(sorted(unknown))}")


def in_space(raw: Any) -> Any:
    """A manifest or a patch with the namespace that stands for NS."""
    if isinstance(raw, dict):
        return {name: in_space(value) for name, value in raw.items()}
    if isinstance(raw, list):
        return [in_space(item) for item in raw]
    return SPACE if raw == "NS" else raw
