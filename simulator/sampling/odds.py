"""The odds of getting stuck: closed forms where they hold, many runs of the timed engine where they do not."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import count as numbers
from typing import Final

from msgspec import Struct

from simulator.choices import TIE_POLICIES
from simulator.errors import ScenarioError
from simulator.sampling.intervals import looks
from simulator.sampling.processes import in_order, never
from simulator.sampling.recognition import ClosedForm, recognise
from simulator.sampling.runs import Outcome, Question, derived_seed, outcome, outcomes
from simulator.sampling.tally import VERDICTS, Group, Progress, Share, Tally
from simulator.scenario.load import Scenario
from simulator.units import Micros

DEFAULT_PRECISION: Final = 0.02
"""Half the width of the interval for "stuck" that is enough, if nobody says what they want."""
_WRITES: Final = 1000
"""So many changes of objects are worth handing over to another process: a tenth of a second, or more."""


class Odds(Struct, frozen=True):
    """How likely a scenario is to get stuck.

    Attributes
    ----------
    ties : the policy that the odds are for; without it they mean nothing.
    seed : the root seed; each run's own is a hash of it and of the run's number.
    runs, shares : runs of the timed engine, and how they ended; none where a closed form was enough.
    stopped : what ended the runs: runs, precision, interrupted; "" without runs.
    wanted_runs, precision : what was asked for, or 0.02 for the precision if nothing was.
    causes : what stuck runs failed on first, most frequent first.
    undecided : why runs have no verdict.
    failures : what went wrong in the timelines of runs, however they ended.
    exact : the closed form, if one holds.
    why_not_exact : else why none is known to.
    """

    scenario: str
    title: str
    parameters: dict[str, str | int | float | bool]
    ties: str
    seed: int
    runs: int
    shares: tuple[Share, ...]
    confidence: float
    stopped: str
    wanted_runs: int | None
    precision: float | None
    causes: tuple[Group, ...]
    undecided: tuple[Group, ...]
    failures: tuple[Group, ...]
    exact: ClosedForm | None
    why_not_exact: str

    def share(self, verdict: str) -> Share:
        """How often runs ended so."""
        return next(share for share in self.shares if share.verdict == verdict)


def odds(
    scenario: Scenario,
    *,
    runs: int | None = None,
    precision: float | None = None,
    seed: int = 0,
    ties: str | None = None,
    until: Micros | None = None,
    jobs: int | None = None,
    confidence: float = 0.95,
    progress: Callable[[Progress], None] = lambda progress: None,
    must_stop: Callable[[], bool] = never,
) -> Odds:
    """How likely a scenario is to get stuck, and on what.

    Parameters
    ----------
    runs : so many runs of the timed engine.
    precision : as many runs as it takes until the interval for "stuck" is no wider than this to either side of its
        middle; asked after 100, 125, 157, … runs. With both, whichever comes first. With neither, a closed form will do
        if one holds; else 0.02.
    seed : the root of all seeds.
    ties : the scenario's own if not given.
    until : as for `run`.
    jobs : processes; one for each core if not given. The result does not depend on it.
    confidence : of the intervals.
    progress : called now and then.
    must_stop : asked now and then; when it is true, what is known so far is the result.

    Returns
    -------
    Shares with intervals, causes, and the exact odds where a closed form holds.

    Raises
    ------
    ScenarioError
        If a number makes no sense, or the tie policy is unknown.
    ManifestError
        If the API server refuses an initial object.
    """
    ties = scenario.spec.ties if ties is None else ties
    _check(runs, precision, ties, jobs, confidence)
    form = recognise(scenario, ties, until)
    exact = form if isinstance(form, ClosedForm) else None
    tally = Tally(confidence)
    stopped = ""
    if exact is None or runs is not None or precision is not None:
        if runs is None and precision is None:
            precision = DEFAULT_PRECISION
        question = Question(scenario, seed, ties, until)
        stopped = _sample(question, tally, runs, precision, jobs or os.cpu_count() or 1, progress, must_stop)
    return Odds(
        scenario=scenario.name, title=scenario.spec.title, parameters=dict(scenario.parameters), ties=ties, seed=seed,
        runs=tally.runs, shares=tuple(tally.share(verdict) for verdict in VERDICTS), confidence=confidence,
        stopped=stopped, wanted_runs=runs, precision=precision,
        causes=tally.causes.sorted(), undecided=tally.undecided.sorted(), failures=tally.failures.sorted(),
        exact=exact, why_not_exact="" if isinstance(form, ClosedForm) else form.why,
    )


def _check(runs: int | None, precision: float | None, ties: str, jobs: int | None, confidence: float) -> None:
    if ties not in TIE_POLICIES:
        raise ScenarioError(f'"{ties}" is not a tie policy; there is {", ".join(TIE_POLICIES)}.')
    if runs is not None and runs < 1:
        raise ScenarioError(f"{runs} runs show nothing. Ask for one run or more.")
    if precision is not None and not 0 < precision < 1:
        raise ScenarioError(f"a precision of {precision} makes no sense. Give one between 0 and 1, such as 0.01.")
    if not 0.5 <= confidence < 1:
        raise ScenarioError(f"a confidence of {confidence} makes no sense. Give one of 0.5 or more, below 1.")
    if jobs is not None and jobs < 1:
        raise ScenarioError(f"{jobs} processes do nothing. Give one or more.")


# --- sampling -------------------------------------------------------------------------------------------------------


def _sample(
    question: Question, tally: Tally, runs: int | None, precision: float | None, workers: int,
    progress: Callable[[Progress], None], must_stop: Callable[[], bool],
) -> str:
    """Make runs until they are enough; returns what ended them."""
    look = looks()
    next_look = next(look)

    def told() -> None:
        progress(tally.progress(runs, precision))

    with closing(_runs(question, runs, workers, must_stop, told)) as all_runs:
        for ended in all_runs:
            tally.add(ended)
            if precision is not None and tally.runs == next_look:
                next_look = next(look)
                if tally.width() <= precision:
                    return "precision"
    return "runs" if tally.runs == runs else "interrupted"


def _runs(
    question: Question, runs: int | None, workers: int, must_stop: Callable[[], bool], told: Callable[[], None],
) -> Generator[Outcome]:
    """Runs in the order of their numbers, without end if `runs` is None; the first of them in this process.

    So what is wrong with the input is said before any process starts, and it is known how much work a run is.
    """
    if must_stop():
        return
    first = outcome(question, derived_seed(question.root, 0))
    yield first
    size = max(1, _WRITES // max(1, first.writes))
    head = size if runs is None else min(size, runs)
    for index in range(1, head):
        if must_stop():
            return
        yield outcome(question, derived_seed(question.root, index))
    told()
    starts = numbers(head, size) if runs is None else range(head, runs, size)
    chunks = (range(start, start + size if runs is None else min(start + size, runs)) for start in starts)
    if runs is not None:
        workers = min(workers, -(-(runs - head) // size))
    for chunk in in_order(outcomes, question, chunks, max(1, workers), must_stop):
        yield from chunk
        told()
