"""Looks for every observed outcome of a repeated case, stage after stage along one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from simulator.api.meta import Key
from simulator.choices import Chooser, Seeded
from simulator.cluster.component import Change
from simulator.latency import Latency
from simulator.units import SECOND, Micros
from tests.conformance.recorded_choices import NOISE, Wishes, wishes_of_outcome
from tests.conformance.recorded_outcomes import Layout, outcome
from tests.conformance.recorded_run import Stages

ATTEMPTS = 60
"""Runs for each path of outcomes that is looked for."""


class Steered:
    """A chooser whose wishes change from stage to stage."""

    def __init__(self, fallback: Chooser) -> None:
        self.wishes = Wishes()
        self._fallback = fallback

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The wanted option, else the fallback's."""
        wanted = self.wishes.pick(point, about, options) if len(options) > 1 else None
        return wanted if wanted is not None else self._fallback.choose(point, about, options, weights)

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """The fallback's."""
        return self._fallback.delay(point, about, latency)

    def watch(self, change: Change) -> None:
        """Tell the wishes of this stage."""
        self.wishes.watch(change)


class Words:
    """How a case's stages are put into words: some recordings leave out what is not of the set."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.layout = Layout(case)
        self.stages = case["stages"]

    def full(self, turn: int, state: Mapping[str, Any]) -> str:
        """How a stage ended, with names."""
        return self._as_recorded(turn, outcome(state, self.layout)[0], "full")

    def shape(self, turn: int, state: Mapping[str, Any]) -> str:
        """How a stage ended, as a shape."""
        return self._as_recorded(turn, outcome(state, self.layout)[1], "shape")

    def _as_recorded(self, turn: int, words: str, field: str) -> str:
        recorded = self.stages[turn]["observed"][field]
        if any(part.startswith(LOOSE) for one in recorded for part in one.split(" | ")):
            return words
        return " | ".join(part for part in words.split(" | ") if not part.startswith(LOOSE))

    def is_understood(self) -> bool:
        """Whether the first run's own states come out in the recorder's words."""
        for turn, stage in enumerate(self.stages):
            first = stage["observed"]["firstRun"]
            said = (self.full(turn, first["state"]), self.shape(turn, first["state"]))
            if said != (first["outcome"]["full"], first["outcome"]["shape"]):
                return False
        return True


LOOSE = ("pod ", "claim ")


def unreached(case: Mapping[str, Any]) -> list[str]:
    """Observed outcomes that no run came to, as ``stage: outcome``."""
    words = Words(case)
    if not words.is_understood():
        raise ValueError("the outcomes of this case are in words that are not understood")
    observed = [list(stage["observed"]["full"]) for stage in case["stages"]]
    missing = {(turn, one) for turn, outcomes in enumerate(observed) for one in outcomes}
    for attempt in range(ATTEMPTS):
        for number, path in enumerate(_paths(observed)):
            if not any((turn, one) in missing for turn, one in enumerate(path)):
                continue
            for turn, reached in enumerate(_walk(case, words, path, seed=attempt * 1000 + number)):
                if reached not in observed[turn]:
                    break
                missing.discard((turn, reached))
            if not missing:
                return []
    return [f"{case['stages'][turn]['name']}: {one}" for turn, one in sorted(missing)]


def _paths(observed: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Ways through the stages to look for: outcomes of the same rank together first, then all others."""
    together = [tuple(row[min(rank, len(row) - 1)] for row in observed) for rank in range(max(map(len, observed)))]
    every = list(product(*observed)) if len(observed) > 1 else []
    return list(dict.fromkeys([*together, *every]))[:200]


def _walk(case: Mapping[str, Any], words: Words, path: Sequence[str], seed: int) -> list[str]:
    """How each stage of a run ended that wanted to go a path."""
    chooser = Steered(Seeded(seed))
    chooser.wishes = wishes_of_outcome(path[:1], words.layout.templates)
    idle = (seed * 37 % 150) * SECOND // 10
    world = Stages(case, chooser, NOISE if seed % 1000 or seed else None, idle, chooser.watch)
    ended = []
    for turn, stage in enumerate(case["stages"]):
        chooser.wishes = wishes_of_outcome(path[turn:turn + 1], words.layout.templates)
        ended.append(words.full(turn, world.stage(stage).state))
        if ended[-1] != path[turn] and turn + 1 < len(path) and ended[-1] not in stage["observed"]["full"]:
            break
    return ended
