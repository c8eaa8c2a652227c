"""The one door for nondeterminism: whatever could go another way is asked here, by name.

A draw is a hash of (seed, point, object, how many times asked): one choice more does not shift the others, and two
settings that are compared share their random numbers. Nothing outside this module draws.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from simulator.api.meta import Key
from simulator.errors import ReplayDiverged
from simulator.latency import Latency
from simulator.units import Micros

TiePolicy = Callable[[str, int, Sequence[int] | None], Sequence[int] | None]
"""From a point, the number of options and Kubernetes' own weights (or None) to the weights drawn with; None: equal."""


def _uniform(point: str, size: int, weights: Sequence[int] | None) -> None:
    return None


def _go_map(point: str, size: int, weights: Sequence[int] | None) -> Sequence[int] | None:
    return weights


def _first(point: str, size: int, weights: Sequence[int] | None) -> Sequence[int]:
    return (1, *(0,) * (size - 1))


def _last(point: str, size: int, weights: Sequence[int] | None) -> Sequence[int]:
    return (*(0,) * (size - 1), 1)


TIE_POLICIES: Final[dict[str, TiePolicy]] = {"uniform": _uniform, "go-map": _go_map, "first": _first, "last": _last}
"""Who wins among equals. `uniform`: each as likely; `go-map`: as Go's map order has it where the cache's slots are
known (of three tied volumes the first inserted has 6/8), else uniform; `first`, `last`: in the order of the options."""


class Chooser(Protocol):
    """Answers every question that a cluster leaves open."""

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """One of `options` (never empty, in a fixed order); `weights` are Kubernetes' own, if they are known."""

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """How long it takes this time."""


class Seeded:
    """Draws from a counter-based hash of a seed (see the module's docstring)."""

    def __init__(self, seed: int, ties: str = "uniform") -> None:
        self.seed = seed
        self.ties = ties
        self._policy = TIE_POLICIES[ties]
        self._asked: dict[tuple[str, Key | None], int] = {}

    @property
    def has_drawn(self) -> bool:
        """Whether anything was left to chance so far; if nothing was, every seed gives the same run."""
        return bool(self._asked)

    def _draw(self, point: str, about: Key | None) -> int:
        asked = self._asked.get((point, about), 0)
        self._asked[point, about] = asked + 1
        subject = f"{about[0]}/{about[1]}/{about[2]}" if about is not None else ""
        name = f"{self.seed}|{point}|{subject}|{asked}"
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """Draw one option with the tie policy's weights; equal ones cost O(1)."""
        size = len(options)
        if size == 1:
            return options[0]
        shares = self._policy(point, size, weights)
        if shares is None:
            return options[(self._draw(point, about) * size) >> 64]
        mark = (self._draw(point, about) * sum(shares)) >> 64
        for option, share in zip(options, shares, strict=True):
            mark -= share
            if mark < 0:
                return option
        raise AssertionError("weights sum to zero")

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """Draw a duration; a constant one costs no draw."""
        fixed = latency.constant
        return fixed if fixed is not None else latency.quantile(self._draw("delay " + point, about))


class Scripted:
    """Answers with a given list of option positions, then with the first option; remembers what was asked.

    The base of searches by re-execution: run, look at `asked`, advance the last answer that has another option, run
    again.

    Parameters
    ----------
    points : where it branches; elsewhere it takes the first option, the natural one.

    Attributes
    ----------
    asked : (point, about, options, weights, position taken), one for each choice with more than one option.
    """

    def __init__(self, script: Sequence[int] = (), points: Collection[str] = ("volume", "node")) -> None:
        self.script = tuple(script)
        self._points = points
        self.asked: list[tuple[str, Key, tuple[Key, ...], tuple[int, ...] | None, int]] = []

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """Take the scripted option, or the first."""
        if len(options) == 1 or point not in self._points:
            return options[0]
        turn = len(self.asked)
        position = self.script[turn] if turn < len(self.script) else 0
        fixed = tuple(weights) if weights is not None else None
        self.asked.append((point, about, tuple(options), fixed, position))
        return options[position]

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """The first representative: exploration of ties does not vary durations."""
        return latency.representatives[0]


class Replay:
    """Answers as a recorded run did, and names the first question that differs."""

    def __init__(self, recorded: Sequence[tuple[str, Key, Key]], fallback: Chooser) -> None:
        self._recorded = list(recorded)
        self._fallback = fallback
        self._turn = 0

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The recorded answer.

        Raises
        ------
        ReplayDiverged
            If the recorded run was asked something else here.
        """
        if len(options) == 1:
            return options[0]
        if self._turn >= len(self._recorded):
            raise ReplayDiverged(f"the recorded run ends before choice {self._turn + 1}: {point} for {about}")
        then_point, then_about, chosen = self._recorded[self._turn]
        if (then_point, then_about) != (point, about) or chosen not in options:
            raise ReplayDiverged(
                f"choice {self._turn + 1} differs: recorded {then_point} for {then_about} → {chosen}; "
                f"now {point} for {about} among {', '.join(map(str, options))}"
            )
        self._turn += 1
        return chosen

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """Durations are drawn as the recorded seed draws them."""
        return self._fallback.delay(point, about, latency)
