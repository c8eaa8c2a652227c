"""Do runs of the timed engine get stuck as often as the closed form says, and how many a second are there?

    python -m benchmarks odds --runs 100000 --record      # 5 to 10 minutes on two cores
"""

from __future__ import annotations

import json
import os
import platform
import time
from math import sqrt
from pathlib import Path
from typing import Any

from benchmarks.measure import row
from simulator import load_scenario, odds
from simulator.version import __version__

SCENARIO = "scenarios/devil"
RESULT = Path(__file__).parent / "results" / "odds-devil.json"
ERRORS = 4.0
"""So many standard errors are allowed."""


def measured(runs: int) -> dict[str, Any]:
    """One sample of the devil beside its closed form."""
    start = time.perf_counter()
    found = odds(load_scenario([SCENARIO]), runs=runs)
    seconds = time.perf_counter() - start
    assert found.exact is not None
    exact, stuck = found.exact.stuck, found.share("stuck")
    error = sqrt(exact * (1 - exact) / runs)
    return {
        "scenario": SCENARIO, "parameters": found.parameters, "ties": found.ties, "rootSeed": found.seed, "runs": runs,
        "stuck": stuck.runs, "share": stuck.share, "interval95": [stuck.low, stuck.high],
        "noVerdict": found.share("no verdict").runs, "exact": str(exact), "exactDecimal": float(exact),
        "standardErrors": (stuck.share - float(exact)) / error,
        "causes": [{"what": cause.what, "runs": cause.runs, "objects": cause.objects} for cause in found.causes],
        "seconds": round(seconds, 1), "processes": os.cpu_count(), "bindsim": __version__,
        "python": platform.python_version(), "machine": platform.machine(),
    }


def rows(runs: int = 1000, record: bool = False) -> list[dict[str, Any]]:
    """How far the sample is off, in standard errors, and how long a run takes; all cores at work."""
    result = measured(runs)
    if record:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    ratio = result["share"] / result["exactDecimal"]
    against = f"{result['exact']}, closed form"
    each = result["seconds"] / runs * 1e3
    return [
        row(f"{runs} runs of the devil, off the closed form", abs(result["standardErrors"]), "std errors", against,
            ratio, ERRORS),
        row("one of them, all cores at work", each, "ms", f"{result['processes']} processes", 1.0, 10),
    ]
