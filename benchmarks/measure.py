"""CPU time of a piece of work, and the row that says what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def cpu(work: Callable[[], Any], times: int = 5) -> float:
    """The median CPU time of a call, in seconds."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def row(
    name: str, figure: float, unit: str, against: str, ratio: float, goal: float, *, is_rate: bool = False
) -> dict[str, Any]:
    """A row of the table; `goal` bounds the figure from above, or from below if it is a rate."""
    return {
        "name": name, "figure": figure, "unit": unit, "against": against, "ratio": ratio, "goal": goal,
        "met": figure >= goal if is_rate else figure <= goal,
    }  # fmt: skip
