"""The table of ``bindsim compare``: one line for each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from simulator.report.tables import table
from simulator.sampling.intervals import wilson
from simulator.units import SECOND, Micros


class Outcome(Protocol):
    """How one run ended, and when its last object changed."""

    @property
    def verdict(self) -> str:
        """Converged, stuck or no verdict."""

    @property
    def time(self) -> Micros:
        """When everything was as it stayed."""


class Row(Protocol):
    """One setting, and how its runs ended."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Parameters and their values."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """One for each run."""

    def count(self, verdict: str) -> int:
        """How many runs ended so."""


def compare_table(rows: Sequence[Row]) -> list[str]:
    """How the runs of each setting ended, with the share of stuck ones and Wilson's 95 % interval around it."""
    keys = list(dict.fromkeys(key for row in rows for key in row.settings))
    lines = [[*keys, "RUNS", "CONVERGED", "STUCK", "NO VERDICT", "STUCK, 95 % INTERVAL", "MEDIAN TIME TO READY"]]
    for row in rows:
        runs = len(row.outcomes)
        low, high = wilson(row.count("stuck"), runs)
        lines.append([
            *(row.settings.get(key, "") for key in keys), str(runs),
            *(_share(row.count(verdict), runs) for verdict in ("converged", "stuck", "no verdict")),
            f"{100 * low:.1f} % to {100 * high:.1f} %", _seconds(median_ready(row)),
        ])
    return table(lines)


def _share(number: int, runs: int) -> str:
    return f"{number} ({100 * number / runs:.1f} %)" if runs else "0"


def median_ready(row: Row) -> Micros | None:
    """The median time to ready of those runs that converged; None if none did."""
    times = sorted(outcome.time for outcome in row.outcomes if outcome.verdict == "converged")
    if not times:
        return None
    middle = len(times) // 2
    return times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) // 2


def _seconds(time: Micros | None) -> str:
    return "-" if time is None else f"{time / SECOND:.2f}s"
