"""Holds a scenario against what it expects: of one run, of every run, and of the odds over all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.kinds import find_kind
from simulator.api.meta import Key
from simulator.cluster.component import Change
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.exploration.explore import explore
from simulator.sampling.odds import odds
from simulator.sampling.recognition import ClosedForm, recognise
from simulator.scenario.conditions import Condition, parse_condition
from simulator.scenario.file import ExpectedEveryRun, ExpectedOdds, ExpectedRun
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster, Run, run
from simulator.units import Micros


class Check(Struct, frozen=True):
    """One thing that was expected; `problem` is None if it holds."""

    what: str
    problem: str | None


class Milestones:
    """When conditions came true for the first time; a watcher of a cluster."""

    def __init__(self, cluster: Cluster, conditions: Sequence[Condition]) -> None:
        self._cluster = cluster
        self._open = list(conditions)
        self.reached: list[tuple[str, Micros]] = []

    def __call__(self, change: Change) -> None:
        """Look again at the conditions that are still open."""
        for condition in list(self._open):
            if condition.key == change.key and condition.holds(self._cluster):
                self._open.remove(condition)
                self.reached.append((condition.text, self._cluster.world.now))


EXPLORED: Final = 2000
"""States up to which expected odds are worked out from every run, where no closed form holds."""
SAMPLED: Final = 500
"""Runs that expected odds are held against where there are more."""
CONFIDENCE: Final = 0.999
"""Of the interval that must hold them. The seeds are fixed, so that a check gives the same answer every time."""


def verify(scenario: Scenario, jobs: int | None = None) -> list[Check]:
    """Run a scenario as its `expect` says, and compare.

    Parameters
    ----------
    jobs : processes, where many runs are needed; one for each core if not given.

    Returns
    -------
    A check for each thing expected; the failures of its timeline are checks too.

    Raises
    ------
    ScenarioError
        If an expectation cannot be understood.
    """
    expect = scenario.spec.expect
    checks = _verify_run(scenario, expect.run if expect is not None and expect.run is not None else ExpectedRun())
    if expect is not None and expect.every_run is not None:
        checks.extend(_verify_every_run(scenario, expect.every_run))
    if expect is not None and expect.odds is not None and expect.odds.stuck is not None:
        checks.append(_verify_odds(scenario, expect.odds, expect.odds.stuck, jobs))
    return checks


# --- one run --------------------------------------------------------------------------------------------------------


def _verify_run(scenario: Scenario, expected: ExpectedRun) -> list[Check]:
    wanted = list(_milestones_of(scenario, expected))
    milestones: list[Milestones] = []

    def prepare(cluster: Cluster) -> None:
        watcher = Milestones(cluster, wanted)
        milestones.append(watcher)
        cluster.world.watchers.append(watcher)

    result = run(scenario, seed=expected.seed, ties=expected.ties, prepare=prepare)
    checks = [Check("timeline", "; ".join(result.failures) or None)]
    checks.extend(_compare(scenario, expected, result))
    if expected.order:
        got = [text for text, _ in milestones[0].reached]
        checks.append(Check("order", None if got == [c.text for c in wanted] else f"came true in this order: {got}"))
    return checks


def _milestones_of(scenario: Scenario, expected: ExpectedRun) -> Iterator[Condition]:
    for text in expected.order:
        try:
            conditions = parse_condition(text, "default")
        except ValueError as problem:
            raise ScenarioError(f"{scenario.path}: expect.run.order: {problem}.") from None
        for condition in conditions:
            if condition.key is None:
                raise ScenarioError(
                    f'{scenario.path}: expect.run.order: "{condition.text}" is not about an object. '
                    "Name what comes true of objects; how the run ends is its verdict."
                )
            yield condition


def _compare(scenario: Scenario, expected: ExpectedRun, result: Run) -> Iterator[Check]:
    if expected.verdict is not None:
        problem = None if result.verdict == expected.verdict else f"{result.verdict}: {result.why}"
        yield Check(f"verdict {expected.verdict}", problem)
    if expected.waiting is not None:
        yield _waiting(scenario, expected.waiting, result)
    store = result.world.store
    for name, node in expected.placements.items():
        pod = store.get(Pod, *_place(name))
        got = pod.spec.node_name or None if pod is not None else "no such pod"
        yield Check(f"{name} on {node}", None if got == node else f"is on {got}")
    for name, volume in expected.bindings.items():
        claim = store.get(PersistentVolumeClaim, *_place(name))
        bound = claim.spec.volume_name or None if claim is not None else "no such claim"
        yield Check(f"{name} bound to {volume}", None if bound == volume else f"is bound to {bound}")
    for written, phase in expected.phases.items():
        obj = store.find(_key(scenario, written))
        seen = "absent" if obj is None else getattr(getattr(obj, "status", None), "phase", "")
        yield Check(f"{written} {phase}", None if seen == phase else f"is {seen}")
    yield from _said(expected, result.log)
    if expected.because:
        from simulator.report.text import reason_lines

        text = " ".join(" ".join(reason_lines(result.log)).split())
        for part in expected.because:
            yield Check(f'reason "{part}"', None if part in text else f"the reasons given are: {text or 'none'}")


def _said(expected: ExpectedRun, log: Log) -> Iterator[Check]:
    """Events and refusals."""
    events = [(e.detail["reason"], e.detail["message"]) for e in log.entries if e.verb == "event" and e.detail]
    for written in expected.events:
        reason, _, part = written.partition(": ")
        held = any(r == reason and part in m for r, m in events)
        seen = [m for r, m in events if r == reason][:3]
        yield Check(f"event {written}", None if held else f"of that reason: {seen or 'none'}")
    if expected.refused:
        refusals = [e.detail["refused"] for e in log.entries if e.verb == "action" and e.detail and e.detail["refused"]]
        fits = len(refusals) == len(expected.refused) and all(
            part in refusal for part, refusal in zip(expected.refused, refusals, strict=True)
        )
        yield Check("refusals", None if fits else f"refused: {refusals}")


def _waiting(scenario: Scenario, expected: Sequence[str], result: Run) -> Check:
    """Exactly the named objects, among those of the kinds that are named; an empty list means that nothing waits."""
    wanted = {_key(scenario, written) for written in expected}
    kinds = {key.kind for key in wanted}
    got = {key for key in result.waiting if not kinds or key.kind in kinds}
    problem = None if got == wanted else f"waiting: {', '.join(sorted(map(str, got))) or 'nothing'}"
    return Check(f"waiting {', '.join(expected) or 'nothing'}", problem)


# --- every run ------------------------------------------------------------------------------------------------------


def _verify_every_run(scenario: Scenario, expected: ExpectedEveryRun) -> Iterator[Check]:
    """By exploring all of them, under the scenario's own tie policy."""
    if expected.verdict is None and expected.states is None:
        return
    found = explore(scenario)
    beyond = "" if found.is_complete else f", as {found.why_incomplete}"
    if expected.verdict is not None:
        problem = None if found.verdict == expected.verdict else f"{found.verdict}{beyond}"
        yield Check(f"every run: {expected.verdict}", problem)
    if expected.states is not None:
        holds = found.is_complete and found.states == expected.states
        yield Check(f"every run: {expected.states} states", None if holds else f"there are {found.states}{beyond}")


# --- the odds -------------------------------------------------------------------------------------------------------


def _verify_odds(scenario: Scenario, expected: ExpectedOdds, written: str | float, jobs: int | None) -> Check:
    """Exactly, where a closed form holds or all runs can be explored; else a sample must bear them out."""
    wanted, rounding = _chance(scenario, written)
    what = f"odds of getting stuck {written}, ties {expected.ties}"
    form = recognise(scenario, expected.ties)
    if isinstance(form, ClosedForm):
        holds = abs(form.stuck - wanted) <= rounding
        return Check(f'{what}, by the closed form "{form.name}"', None if holds else f"they are {form.stuck}")
    every = explore(scenario, ties=expected.ties, most_states=EXPLORED)
    if every.stuck is not None:
        holds = abs(every.stuck - wanted) <= rounding
        return Check(f"{what}, by exploring every run", None if holds else f"they are {every.stuck}")
    found = odds(scenario, runs=SAMPLED, ties=expected.ties, jobs=jobs, confidence=CONFIDENCE)
    stuck = found.share("stuck")
    within = f"{100 * stuck.low:.1f} % to {100 * stuck.high:.1f} % at {100 * CONFIDENCE:g} % confidence"
    holds = stuck.low - rounding <= wanted <= stuck.high + rounding
    problem = None if holds else f"{stuck.runs} of {found.runs} are stuck: {within}"
    return Check(f"{what}, by {found.runs} runs", problem)


def _chance(scenario: Scenario, written: str | float) -> tuple[Fraction, Fraction]:
    """Expected odds as a fraction, and by how much they may be off because they are written as a rounded decimal."""
    text = str(written).strip()
    digits, sign, _ = text.partition("%")
    try:
        chance = Fraction(digits.strip()) / (100 if sign else 1)
        decimals = len(digits.strip().partition(".")[2]) + (2 if sign else 0)
    except (ValueError, ZeroDivisionError):
        chance, decimals = Fraction(-1), 0
    if not 0 <= chance <= 1:
        raise ScenarioError(f'{scenario.path}: expect.odds.stuck: "{text}" is not a chance; write 19/28 or 0.679.')
    is_rounded = "." in digits or "%" in text
    return chance, Fraction(1, 2 * 10**decimals) if is_rounded else Fraction(0)


# --- names ----------------------------------------------------------------------------------------------------------


def _place(name: str) -> tuple[str, str]:
    namespace, _, short = name.rpartition("/")
    return short, namespace or "default"


def _key(scenario: Scenario, written: str) -> Key:
    parts = written.split("/")
    kind = find_kind(parts[0])
    if kind is None or len(parts) not in (2, 3):
        raise ScenarioError(f'{scenario.path}: expect: "{written}" does not name an object; write KIND/NAME.')
    namespace = (parts[1] if len(parts) == 3 else "default") if kind.NAMESPACED else ""
    return Key(kind.KIND, namespace, parts[-1])
