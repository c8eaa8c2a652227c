"""Compares how often each outcome was observed with how likely it is in the simulator."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, permutations, product
from math import comb, exp, lgamma, log
from typing import Any

from msgspec import Struct

from simulator.choices import TIE_POLICIES, Chooser, Scripted, Seeded
from simulator.latency import Latency
from tests.conformance.recorded_choices import NOISE
from tests.conformance.recorded_repeated import LOOSE, Words, plain
from tests.conformance.recorded_run import Stages

FRESH, BETWEEN, UNIFORM = "go-map", "between", "uniform"
LEAST_RUNS = 5
MOST_WAYS = 800
SAMPLES = 600
SHARES = {FRESH: (Fraction(0),), UNIFORM: (Fraction(1),), BETWEEN: tuple(Fraction(part, 4) for part in range(5))}
"""Shares of `uniform` that are tried; the rest is `go-map`."""

Odds = dict[str, Fraction]


def probabilities(case: Mapping[str, Any], policy: str) -> dict[str, float]:
    """For each stage, how likely a histogram is that is at most as likely as the recorded one.

    The shapes are compared, and the outcomes with names where volumes alone are tied. Which of equal nodes a pod gets
    depends on the scheduler's threads (SC-49), and which of several pods is first on those of the controller, so such
    names are left out, and with them stages whose shapes have names in them.

    Parameters
    ----------
    policy : `FRESH`, `UNIFORM`, or `BETWEEN`: the best of the mixtures of both.
    """
    batches = _batches(case)
    likely = stage_odds(case, batches)
    found = {}
    for turn, stage in enumerate(case["stages"]):
        observed = stage["observed"]
        if not any(part.startswith(LOOSE) for shape in observed["shape"] for part in shape.split(" | ")):
            counts: dict[str, int] = {}
            for shape, count in observed["shape"].items():
                plain_shape = canonical(shape, batches)
                counts[plain_shape] = counts.get(plain_shape, 0) + count
            found[stage["name"]] = _best(counts, likely.shapes[turn], policy)
        if likely.is_of_volumes and not batches:
            named = {plain(one): count for one, count in observed["full"].items()}
            found[f"{stage['name']}, with names"] = _best(named, likely.named[turn], policy)
    return found


def _best(counts: Mapping[str, int], odds: tuple[Odds, Odds], policy: str) -> float:
    fresh, uniform = odds
    return max(multinomial(counts, _mixed(uniform, fresh, share)) for share in SHARES[policy])


class Likely(Struct):
    """How likely each end of each stage is, under `go-map` and under `uniform`.

    Attributes
    ----------
    is_of_volumes : whether nothing but volumes is ever tied.
    """

    shapes: list[tuple[Odds, Odds]]
    named: list[tuple[Odds, Odds]]
    is_of_volumes: bool = True


def stage_odds(case: Mapping[str, Any], batches: Mapping[str, Sequence[range]]) -> Likely:
    """How likely each end of each stage is: exact if there are few ways through the case, else from a sample."""
    words = Words(case)

    def ends(chooser: Chooser, noise: Mapping[str, Latency] | None = None) -> list[tuple[str, str]]:
        world = Stages(case, chooser, noise)
        seen = [world.stage(stage) for stage in case["stages"]]
        return [(canonical(words.shape(turn, one), batches), words.full(turn, one)) for turn, one in enumerate(seen)]

    ways = list(islice(_every_way(ends), MOST_WAYS + 1))
    likely = Likely([({}, {}) for _ in case["stages"]], [({}, {}) for _ in case["stages"]])
    if len(ways) > MOST_WAYS:
        likely.is_of_volumes = False
        share, none = Fraction(1, SAMPLES), Fraction(0)
        ways = [(ends(Seeded(seed, FRESH), NOISE), (share, none), False) for seed in range(SAMPLES)]
        ways += [(ends(Seeded(seed, UNIFORM), NOISE), (none, share), False) for seed in range(SAMPLES)]
    for end, chances, is_of_volumes in ways:
        likely.is_of_volumes &= is_of_volumes
        for turn, (shape, full) in enumerate(end):
            for policy, chance in enumerate(chances):
                for odds, name in ((likely.shapes[turn][policy], shape), (likely.named[turn][policy], full)):
                    odds[name] = odds.get(name, Fraction(0)) + chance
    return likely


Way = tuple[list[tuple[str, str]], tuple[Fraction, Fraction], bool]
"""How the stages ended, the probabilities under `go-map` and `uniform`, and whether volumes alone were tied."""


def _every_way(ends: Callable[[Chooser], list[tuple[str, str]]]) -> Iterator[Way]:
    """All ways through a case, ties branched."""
    script: list[int] | None = []
    while script is not None:
        chooser = Scripted(script)
        end = ends(chooser)
        asked = chooser.asked
        yield end, (_chance(chooser, FRESH), _chance(chooser, UNIFORM)), all(point == "volume" for point, *_ in asked)
        taken = [position for *_, position in asked]
        open_turns = [turn for turn, (_, _, options, _, position) in enumerate(asked) if position + 1 < len(options)]
        script = [*taken[: open_turns[-1]], taken[open_turns[-1]] + 1] if open_turns else None


def _chance(chooser: Scripted, ties: str) -> Fraction:
    chance = Fraction(1)
    for point, _, options, weights, taken in chooser.asked:
        shares = TIE_POLICIES[ties](point, len(options), weights)
        chance *= Fraction(1, len(options)) if shares is None else Fraction(shares[taken], sum(shares))
    return chance


def _mixed(one: Odds, other: Odds, share: Fraction) -> Odds:
    return {name: share * one.get(name, 0) + (1 - share) * other.get(name, 0) for name in {**one, **other}}


# --- pods that nothing tells apart ----------------------------------------------------------------------------------


def _batches(case: Mapping[str, Any]) -> dict[str, list[range]]:
    """By Parallel set, the ordinals that are created at the same time (1, 2, 4 … at once)."""
    found: dict[str, list[range]] = {}
    actions = [*case["setup"], *(action for stage in case["stages"] for action in stage["actions"])]
    for raw in (raw for action in actions for raw in action.get("apply", ())):
        if raw["kind"] == "StatefulSet" and raw["spec"].get("podManagementPolicy") == "Parallel":
            first, size, batches = 0, 1, []
            while first < raw["spec"].get("replicas", 1):
                batches.append(range(first, min(first + size, raw["spec"].get("replicas", 1))))
                first, size = first + size, 2 * size
            found[raw["metadata"]["name"]] = batches
    return found


def canonical(shape: str, batches: Mapping[str, Sequence[range]]) -> str:
    """A shape up to the order of pods that are created at the same time, which is an accident."""
    parts = []
    for part in shape.split(" | "):
        name, colon, row = part.partition(": ")
        pods = row.split(" ")
        if colon and name in batches and len(pods) == sum(map(len, batches[name])):
            row = min(_relettered([pods[place] for place in order]) for order in _orders(batches[name]))
        parts.append(f"{name}{colon}{row}")
    return " | ".join(parts)


def _orders(batches: Sequence[range]) -> Iterator[list[int]]:
    for chosen in product(*(permutations(batch) for batch in batches)):
        yield [place for batch in chosen for place in batch]


def _relettered(pods: Sequence[str]) -> str:
    letters: dict[str, str] = {}

    def letter(found: re.Match[str]) -> str:
        return letters.setdefault(found[0], chr(ord("A") + len(letters)))

    return " ".join(re.sub(r"\b[A-Z]\b", letter, pod) for pod in pods)


# --- the test -------------------------------------------------------------------------------------------------------


def multinomial(counts: Mapping[str, int], odds: Odds) -> float:
    """How likely a histogram is that is no more likely than this one: exact if there are few, else from a sample."""
    if any(count and not odds.get(name) for name, count in counts.items()):
        return 0.0
    names = [name for name in odds if odds[name]]
    shares = [float(odds[name]) for name in names]
    total = sum(counts.values())
    limit = _log_chance([counts.get(name, 0) for name in names], shares) + 1e-9
    if comb(total + len(names) - 1, len(names) - 1) <= 200_000:
        chances = (_log_chance(row, shares) for row in _histograms(total, len(names)))
        return sum(exp(chance) for chance in chances if chance <= limit)
    draw = random.Random(1)
    hits = 0
    for _ in range(SAMPLES * 10):
        row = [0] * len(names)
        for place in draw.choices(range(len(names)), shares, k=total):
            row[place] += 1
        hits += _log_chance(row, shares) <= limit
    return hits / (SAMPLES * 10)


def _log_chance(row: Sequence[int], shares: Sequence[float]) -> float:
    return lgamma(sum(row) + 1) + sum(
        count * log(share) - lgamma(count + 1) for count, share in zip(row, shares, strict=True))


def _histograms(total: int, size: int) -> Iterator[list[int]]:
    if size == 1:
        yield [total]
        return
    for first in range(total + 1):
        for rest in _histograms(total - first, size - 1):
            yield [first, *rest]
