"""Results as JSON, for programs: stable names, times in simulated microseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.eventlog import Log
from simulator.explanation.evidence import gather
from simulator.explanation.reasons import explain, leftovers
from simulator.report.compare import Row, median_ready
from simulator.report.happenings import happenings
from simulator.report.text import NOTES, verdict_of
from simulator.sampling.intervals import wilson
from simulator.version import __version__

API_VERSION = "bindsim/v1"


def run_result(log: Log) -> str:
    """A run as JSON text: kind RunResult."""
    return _text(run_data(log))


def run_data(log: Log) -> dict[str, Any]:
    """A run as JSON data."""
    evidence = gather(log)
    state, verdict, head = evidence.state, verdict_of(log) or {}, log.header
    pods = sorted(state.list(Pod), key=lambda pod: pod.key)
    claims = sorted(state.list(PersistentVolumeClaim), key=lambda claim: claim.key)
    return {
        **_head("RunResult"),
        "scenario": head.get("scenario", ""), "title": head.get("title", ""), "parameters": head.get("parameters", {}),
        "seed": head.get("seed"), "ties": head.get("ties"),
        "verdict": verdict.get("verdict"), "why": verdict.get("why"), "time": verdict.get("time", log.end),
        "waiting": list(verdict.get("waiting", ())), "failures": list(verdict.get("failures", ())),
        "placements": {f"{pod.namespace}/{pod.name}": pod.spec.node_name or None for pod in pods},
        "bindings": {f"{claim.namespace}/{claim.name}": claim.spec.volume_name or None for claim in claims},
        "timeline": [{"time": each.time, "object": str(each.subject), "what": each.what, "text": each.text}
                     for each in happenings(log)],
        "reasons": [reason.plain() for reason in explain(evidence)],
        "leftOver": [reason.plain() for reason in leftovers(evidence)],
        "notes": {key: list(head.get(key, ())) for key in NOTES},
    }


def compare_result(rows: Sequence[Row], seeds: Sequence[int]) -> str:
    """A comparison as JSON text: kind CompareResult."""
    return _text({
        **_head("CompareResult"), "seeds": {"first": seeds[0], "last": seeds[-1]} if seeds else {},
        "rows": [_row(row) for row in rows],
    })


def _row(row: Row) -> dict[str, Any]:
    runs, stuck = len(row.outcomes), row.count("stuck")
    return {
        "settings": dict(row.settings), "runs": runs, "converged": row.count("converged"), "stuck": stuck,
        "noVerdict": row.count("no verdict"), "stuckShare": stuck / runs if runs else None,
        "stuckInterval95": list(wilson(stuck, runs)), "medianTimeToReady": median_ready(row),
    }


def _head(kind: str) -> dict[str, str]:
    return {"apiVersion": API_VERSION, "kind": kind, "version": __version__}


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
