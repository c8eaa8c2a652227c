"""How long until the first result? CPU time of whole processes, bytecode cached, stdout to a file."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.measure import row

TIMES = 20


def _process(arguments: list[str]) -> float:
    """The median CPU time of a fresh interpreter, in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = []
    for turn in range(TIMES + 1):
        before = os.times()
        with tempfile.TemporaryFile() as output:
            subprocess.run([sys.executable, *arguments], stdout=output, env=environment, check=False)
        after = os.times()
        if turn:  # the first writes the bytecode
            taken.append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
    return statistics.median(taken)


def rows() -> list[dict[str, Any]]:
    """Above bare Python: ``--help``, and the three-node devil."""
    bare = _process(["-c", "pass"])
    helping = _process(["-m", "simulator", "--help"]) - bare
    devil = _process(["-m", "simulator", "run", "scenarios/devil", "--seed", "1"]) - bare
    return [
        row("bindsim --help, cold", helping * 1e3, "ms", "bare Python", (helping + bare) / bare, 60),
        row("bindsim run scenarios/devil, cold", devil * 1e3, "ms", "bare Python", (devil + bare) / bare, 200),
    ]
