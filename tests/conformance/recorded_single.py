"""Replays the first run of a case: again with other delays until it goes as it was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.choices import Seeded
from simulator.units import SECOND
from tests.conformance.recorded_choices import NOISE, Preferring, wishes_of_log
from tests.conformance.recorded_compare import Comparison
from tests.conformance.recorded_run import Stages

ATTEMPTS = 150


def differences(case: Mapping[str, Any], attempts: int = ATTEMPTS) -> list[str]:
    """What differs between the recorded run and the nearest simulated one; empty if nothing does.

    Which events there are is in part an accident of milliseconds. If no run has exactly those of the recording, then
    for each event that differs there must be a run, equal in all else, in which it does not differ.
    """
    best: list[str] | None = None
    stubborn: set[str] | None = None
    for seed in range(attempts):
        found = attempt(case, seed)
        if not found:
            return []
        if all(is_event(difference) for difference in found):
            stubborn = set(found) if stubborn is None else stubborn & set(found)
            if not stubborn:
                return []
        if best is None or len(found) < len(best):
            best = found
    return best or [] if stubborn is None else sorted(stubborn)


def is_event(difference: str) -> bool:
    """Whether no more than an event differs."""
    return ": event only " in difference


def attempt(case: Mapping[str, Any], seed: int) -> list[str]:
    """What differs in one run; the phase of the control plane's timers and all delays depend on the seed."""
    wishes = wishes_of_log(case["stages"])
    idle = (seed * 37 % 150) * SECOND // 10
    world = Stages(case, Preferring(wishes, Seeded(seed)), NOISE if seed else None, idle, wishes.watch)
    comparison = Comparison(case["stages"])
    for stage in case["stages"]:
        comparison.add(world.stage(stage))
    return comparison.differences
