"""Looks for every observed outcome of a repeated case, stage after stage along one run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from simulator.api.meta import Key
from simulator.choices import Chooser, Seeded
from simulator.cluster.component import Change
from simulator.latency import Latency
from simulator.units import SECOND, Micros
from tests.conformance.recorded_choices import NOISE, Wishes, wishes_of_outcome
from tests.conformance.recorded_outcomes import outcome, templates_of
from tests.conformance.recorded_run import Observed, Stages

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
    """How the stages of a case are put into words: some recordings leave out what is not of a set.

    Raises
    ------
    ValueError
        If the first run's own states do not come out in the recorder's words.
    """

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.templates = templates_of(case)
        self._stages = case["stages"]
        for turn, stage in enumerate(self._stages):
            first = stage["observed"]["firstRun"]
            places = dict.fromkeys(first["state"].get("PV", ()), "")  # which the states do not tell
            said = self._as_recorded(turn, outcome(first["state"], self.templates, places)[0])
            if said != plain(first["outcome"]["full"]):
                raise ValueError(f"{stage['name']}: the recorder's words are not understood: {said!r}")

    def full(self, turn: int, seen: Observed) -> str:
        """How a stage ended, with names."""
        return self._as_recorded(turn, outcome(seen.state, self.templates, seen.places)[0])

    def shape(self, turn: int, seen: Observed) -> str:
        """How a stage ended, as a shape."""
        return self._as_recorded(turn, outcome(seen.state, self.templates, seen.places)[1])

    def _as_recorded(self, turn: int, words: str) -> str:
        recorded = self._stages[turn]["observed"]["full"]
        if not any(part.startswith(LOOSE) for one in recorded for part in one.split(" | ")):
            words = " | ".join(part for part in words.split(" | ") if not part.startswith(LOOSE))
        return plain(words)


LOOSE = ("pod ", "claim ")
_PROVISIONED = re.compile(r"pvc-(?:uid\([^)]*\)|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def plain(words: str) -> str:
    """An outcome without the uids of claims."""
    return _PROVISIONED.sub("pvc-uid", words)


def unreached(case: Mapping[str, Any]) -> list[str]:
    """Observed outcomes that no run came to, as ``stage: outcome``."""
    words = Words(case)
    observed = [list(dict.fromkeys(map(plain, stage["observed"]["full"]))) for stage in case["stages"]]
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
    chooser.wishes = wishes_of_outcome(path[:1], words.templates)
    idle = (seed * 37 % 150) * SECOND // 10
    world = Stages(case, chooser, NOISE if seed >= 1000 else None, idle, chooser.watch)
    ended = []
    for turn, stage in enumerate(case["stages"]):
        chooser.wishes = wishes_of_outcome(path[turn:turn + 1], words.templates)
        ended.append(words.full(turn, world.stage(stage)))
    return ended
