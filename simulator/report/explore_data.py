"""The answer of ``bindsim explore`` as JSON, for programs: stable names, times in simulated microseconds."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from simulator.explanation.evidence import gather
from simulator.explanation.reasons import explain
from simulator.exploration.chances import Bounds
from simulator.exploration.ends import End
from simulator.exploration.explore import Exploration
from simulator.report.data import API_VERSION
from simulator.report.explore import NOTES, Stuck, explored, has_no_return, left_out, stories
from simulator.report.shortest import story
from simulator.scenario.header import header_of
from simulator.version import __version__


def explore_result(found: Exploration, is_full: bool = False) -> str:
    """An exploration as JSON text: kind ExploreResult; fractions as texts beside their decimals."""
    return json.dumps(explore_data(found, is_full), indent=2, ensure_ascii=False) + "\n"


def explore_data(found: Exploration, is_full: bool = False) -> dict[str, Any]:
    """An exploration as JSON data."""
    header = header_of(found.scenario, 0, found.ties)
    return {
        "apiVersion": API_VERSION, "kind": "ExploreResult", "version": __version__,
        "scenario": found.scenario.name, "title": found.scenario.spec.title,
        "parameters": dict(found.scenario.parameters),
        "ties": found.ties, "interleavings": found.interleavings, "lag": found.lag, "faults": found.faults,
        "isSymmetric": found.is_symmetric, "explored": explored(found), "verdict": found.verdict,
        "isComplete": found.is_complete, "whyIncomplete": found.why_incomplete,
        "stuck": _fraction(found.stuck),
        "stuckBounds": _bounds(found.bounds),
        "states": found.states, "transitions": found.transitions, "outlines": found.outlines,
        "openStates": len(found.graph.open_states),
        "ends": [_end(number, end) for number, end in enumerate(found.ends, 1)],
        "shortestRuns": [_run(stuck) for stuck in stories(found, is_full)],
        "notExplored": left_out(found),
        "notes": {key: list(header.get(key, ())) for key in NOTES},
    }


def _end(number: int, end: End) -> dict[str, Any]:
    return {
        "number": number, "verdict": end.verdict, "isLivelock": end.is_livelock, "chance": _fraction(end.chance),
        "bounds": _bounds(end.bounds),
        "waiting": dict(end.waiting), "placements": dict(end.placements), "bindings": dict(end.bindings),
        "failures": list(end.failures), "states": list(end.states),
    }


def _run(stuck: Stuck) -> dict[str, Any]:
    return {
        "end": stuck.number, "alike": list(stuck.alike),
        "timeline": [{"time": each.time, "object": str(each.subject), "what": each.what, "text": each.text}
                     for each in story(stuck.log, is_full=True)],
        "hasPointOfNoReturn": has_no_return(stuck.log),
        "reasons": [reason.plain() for reason in explain(gather(stuck.log))],
    }


def _bounds(bounds: Bounds | None) -> dict[str, Any] | None:
    return None if bounds is None else {
        "least": _fraction(bounds.least), "greatest": _fraction(bounds.greatest), "isExact": bounds.is_exact,
    }


def _fraction(chance: Fraction | None) -> dict[str, Any] | None:
    return None if chance is None else {"fraction": str(chance), "decimal": float(chance)}
