"""How long does one run of the devil take, once everything is loaded?"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.measure import cpu, row
from simulator import load_scenario, run

SEEDS = range(1, 101)


def _sample() -> None:
    """The same question asked of `random.sample`: nine volumes, three claims, all on different machines?"""
    for seed in SEEDS:
        taken = random.Random(seed).sample(range(9), 3)
        assert len({volume // 3 for volume in taken}) in (1, 2, 3)


def rows() -> list[dict[str, Any]]:
    """Whole runs a second, beside the bare draw."""
    scenario = load_scenario(["scenarios/devil"])
    ours = cpu(lambda: [run(scenario, seed=seed, keep_log=False) for seed in SEEDS], 3) / len(SEEDS)
    bare = cpu(_sample, 3) / len(SEEDS)
    return [row("one run of the devil, 3 × 3 × 3", ours * 1e3, "ms", "random.sample", ours / bare, 10)]
