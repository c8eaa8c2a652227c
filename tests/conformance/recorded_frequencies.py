"""Compares how often each outcome was observed with how likely it is in the simulator."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, permutations, product
from math import comb, exp, lgamma, log
from typing import Any

from simulator.choices import TIE_POLICIES, Chooser, Scripted, Seeded
from simulator.latency import Latency
from tests.conformance.recorded_choices import NOISE
from tests.conformance.recorded_repeated import LOOSE, Words
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

    Left out are stages whose words have names in them: which of equal nodes a pod gets depends on the scheduler's
    threads (SC-49), and which of several pods is first on those of the controller.

    Parameters
    ----------
    policy : `FRESH`, `UNIFORM`, or `BETWEEN`: the best of the mixtures of both.
    """
    batches = _batches(case)
    fresh, uniform = stage_odds(case, batches)
    found = {}
    for turn, stage in enumerate(case["stages"]):
        shapes = stage["observed"]["shape"]
        if any(part.startswith(LOOSE) for shape in shapes for part in shape.split(" | ")):
            continue
        counts: dict[str, int] = {}
        for shape, count in shapes.items():
            plain = canonical(shape, batches)
            counts[plain] = counts.get(plain, 0) + count
        mixtures = [_mixed(uniform[turn], fresh[turn], share) for share in SHARES[policy]]
        found[stage["name"]] = max(multinomial(counts, mixture) for mixture in mixtures)
    return found


def stage_odds(case: Mapping[str, Any], batches: Mapping[str, Sequence[range]]) -> tuple[list[Odds], list[Odds]]:
    """How likely each shape is at the end of each stage, under `go-map` and under `uniform`.

    Exact if there are few ways through the case, else from a sample.
    """
    words = Words(case)

    def ends(chooser: Chooser, noise: Mapping[str, Latency] | None = None) -> list[str]:
        world = Stages(case, chooser, noise)
        return [canonical(words.shape(turn, world.stage(stage)), batches)
                for turn, stage in enumerate(case["stages"])]

    ways = list(islice(_every_way(ends), MOST_WAYS + 1))
    if len(ways) > MOST_WAYS:
        share = Fraction(1, SAMPLES)
        drawn = {ties: [ends(Seeded(seed, ties), NOISE) for seed in range(SAMPLES)] for ties in (FRESH, UNIFORM)}
        ways = [(end, share, Fraction(0)) for end in drawn[FRESH]]
        ways += [(end, Fraction(0), share) for end in drawn[UNIFORM]]
    fresh: list[Odds] = [{} for _ in case["stages"]]
    uniform: list[Odds] = [{} for _ in case["stages"]]
    for end, *chances in ways:
        for odds, chance in zip((fresh, uniform), chances, strict=True):
            for turn, shape in enumerate(end):
                odds[turn][shape] = odds[turn].get(shape, Fraction(0)) + chance
    return fresh, uniform


def _every_way(ends: Callable[[Chooser], list[str]]) -> Iterator[tuple[list[str], Fraction, Fraction]]:
    """All ways through a case, ties branched, with their probabilities under both policies."""
    script: list[int] | None = []
    while script is not None:
        chooser = Scripted(script)
        end = ends(chooser)
        chances = []
        for ties in (FRESH, UNIFORM):
            chance = Fraction(1)
            for point, _, options, weights, taken in chooser.asked:
                shares = TIE_POLICIES[ties](point, len(options), weights)
                chance *= Fraction(1, len(options)) if shares is None else Fraction(shares[taken], sum(shares))
            chances.append(chance)
        yield end, chances[0], chances[1]
        taken_so_far = [position for *_, position in chooser.asked]
        turns = [turn for turn, (_, _, options, _, taken) in enumerate(chooser.asked) if taken + 1 < len(options)]
        script = [*taken_so_far[: turns[-1]], taken_so_far[turns[-1]] + 1] if turns else None


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
