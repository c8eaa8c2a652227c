"""The verdict over all runs: every run where that can be done, else a sample that is called one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Final, NamedTuple

from msgspec import Struct

from simulator.api.core import PersistentVolume
from simulator.api.meta import Key
from simulator.choices import Seeded
from simulator.eventlog import Log
from simulator.explanation.verdict import CONVERGED, STUCK
from simulator.preflight.blame import Blame
from simulator.preflight.certificates import room_to_spare, without_what_runs
from simulator.preflight.input import Input
from simulator.preflight.inventory import Inventory
from simulator.preflight.result import ALWAYS_CONVERGES, ALWAYS_GETS_STUCK, MAY_GET_STUCK, NO_VERDICT, Odds
from simulator.sampling.intervals import looks, wilson
from simulator.sampling.processes import in_order
from simulator.sampling.runs import derived_seed
from simulator.scenario.load import Scenario
from simulator.scheduler.plugins.free_volumes import Reach
from simulator.simulation import Run, run

MOST_RUNS: Final = 400
"""So many runs without a stuck one bring Wilson's upper bound below one percent."""
_WRITES: Final = 400_000
"""Of a large cluster so many runs that not more objects than this are read and written, but never fewer than 40."""
LARGEST: Final = 1_000
"""So many objects of a cluster are explored; beyond that, a single state takes seconds."""
_WORTH: Final = 20_000
"""So many objects read and written are worth handing over to another process."""


class Outlook(Struct, kw_only=True):
    """What can become of the cluster.

    Attributes
    ----------
    is_proven : whether this is so in every run; if not, `why_not` says why nobody can tell.
    waiting : object → what it is short of because of what is applied, in a stuck run.
    before : the same of what is stuck with or without it.
    log : of a stuck run, or of any run if none is stuck.
    first : the run with the seed that was asked for.
    """

    verdict: str
    why: str
    is_proven: bool
    why_not: str = ""
    odds: Odds | None = None
    waiting: dict[str, str] = {}
    before: dict[str, str] = {}
    log: Log
    first: Run


class Question(Struct, frozen=True):
    """What is asked of every run.

    Attributes
    ----------
    jobs : processes, for sampling.
    clock, patience : seconds that pass, and how many of them to look for.
    wants_proof : whether a sample is no answer.
    """

    given: Input
    seed: int
    ties: str
    precision: float | None
    jobs: int
    must_stop: Callable[[], bool]
    clock: Callable[[], float]
    patience: float
    wants_proof: bool = False

    @property
    def scenario(self) -> Scenario:
        """The cluster, and what is applied to it."""
        return self.given.scenario


def look_ahead(question: Question) -> Outlook:
    """Run what is given in every way if that can be done, or in many."""
    chooser = Seeded(question.seed, question.ties)
    first = run(question.scenario, seed=question.seed, ties=question.ties, chooser=chooser)
    blame = Blame(question.given, question.seed, question.ties)
    if not chooser.has_drawn:
        return _of_the_only_run(question, blame, first)
    begin = question.clock()
    inventory = Inventory(question.given)
    if why := room_to_spare(question.given, inventory, first):
        return Outlook(verdict=ALWAYS_CONVERGES, why=why, is_proven=True, odds=_exactly(Fraction(0), question.ties),
                       log=first.log, first=first)
    unlucky = cache(lambda: _stuck_run(blame, first) or _unlucky(question, blame))
    reduced = without_what_runs(question.given, inventory, first)
    if reduced is not None and (known := _by_closed_form(question, reduced, blame, first, unlucky)):
        return known
    explored = _explored(question, blame, first, begin)
    if explored.is_proven:
        return explored
    known = _by_closed_form(question, question.scenario, blame, first, unlucky)
    if known is not None:
        return known
    return explored if question.wants_proof else _sampled(question, blame, first, unlucky, explored, begin)


def look_once(question: Question, why: str) -> Outlook:
    """One run, which is no verdict: the input contradicts itself."""
    first = run(question.scenario, seed=question.seed, ties=question.ties)
    return Outlook(verdict=NO_VERDICT, why=why, is_proven=False, log=first.log, first=first)


# --- one run ----------------------------------------------------------------------------------------------------------


def _of_the_only_run(question: Question, blame: Blame, first: Run) -> Outlook:
    waiting = blame.caused(first.waiting) if first.verdict == STUCK else {}
    before = dict(blame.before) if first.waiting else {}
    if first.verdict not in (CONVERGED, STUCK):
        return Outlook(verdict=NO_VERDICT, why=first.why, is_proven=False, before=before, log=first.log, first=first)
    stuck = 1 if waiting else 0
    ends = "gets stuck" if waiting else "converges" if first.verdict == CONVERGED else "leaves stuck what was so before"
    why = f"nothing in it is left to chance: there is one run only, and it {ends}"
    return Outlook(
        verdict=ALWAYS_GETS_STUCK if waiting else ALWAYS_CONVERGES, why=why, is_proven=True,
        odds=_exactly(Fraction(stuck), question.ties), waiting=waiting, before=before, log=first.log, first=first)


def _exactly(stuck: Fraction, ties: str) -> Odds:
    share = float(stuck)
    return Odds(ties=ties, stuck=share, low=share, high=share, exact=str(stuck))


# --- every run --------------------------------------------------------------------------------------------------------


def _explored(question: Question, blame: Blame, first: Run, begin: float) -> Outlook:
    """The verdict over every run, as far as there is one; it takes half of the patience at the most."""
    from simulator.exploration.explore import explore

    known = Outlook(verdict=NO_VERDICT, why="not every run was looked at", is_proven=False, log=first.log, first=first)
    size = len(question.scenario.initial.objects)
    if size > LARGEST:
        known.why_not = f"with {size} objects the cluster is too large to look at every run"
        return known
    found = explore(question.scenario, ties=question.ties, must_stop=lambda: question.must_stop() or (
        question.clock() - begin > question.patience / 2))
    ends = [(end, blame.caused(end.waiting) if end.verdict == STUCK else {}) for end in found.ends]
    stuck = [(end, waiting) for end, waiting in ends if waiting]
    known.before = dict(blame.before) if any(end.waiting for end, _ in ends) else {}
    if stuck:
        end, known.waiting = max(stuck, key=lambda each: each[0].chance or 0)
        mine = _stuck_run(blame, first)  # a run on the clock tells more than one without times
        known.log, known.waiting = mine or Witness(found.trace(end), known.waiting)
    if not found.is_complete:
        known.why_not = found.why_incomplete
        return known
    known.is_proven = True
    chances = [end.chance for end, _ in stuck if end.chance is not None]
    known.odds = _exactly(sum(chances, start=Fraction(0)), question.ties) if len(chances) == len(stuck) else None
    known.verdict = MAY_GET_STUCK if 0 < len(stuck) < len(ends) else ALWAYS_GETS_STUCK if stuck else ALWAYS_CONVERGES
    why = {MAY_GET_STUCK: f"{len(stuck)} of {len(ends)} different ends are stuck",
           ALWAYS_GETS_STUCK: "every run gets stuck", ALWAYS_CONVERGES: "every run converges"}[known.verdict]
    known.why = f"{why} ({found.states} states looked at)"
    return known


def _by_closed_form(
    question: Question, plain: Scenario, blame: Blame, first: Run, unlucky: Callable[[], Witness | None]
) -> Outlook | None:
    """The verdict from a formula, where one is known to hold.

    Parameters
    ----------
    plain : a cluster with the same odds.
    """
    from simulator.sampling.recognition import ClosedForm, recognise

    form = recognise(plain, question.ties)
    if not isinstance(form, ClosedForm):
        return None
    odds = _exactly(form.stuck, question.ties)
    why = f"by a closed form ({form.name})"
    if not form.stuck:
        return Outlook(verdict=ALWAYS_CONVERGES, why=why, is_proven=True, odds=odds, log=first.log, first=first)
    verdict = ALWAYS_GETS_STUCK if form.stuck == 1 else MAY_GET_STUCK
    seen = unlucky()
    return Outlook(verdict=verdict, why=why, is_proven=True, odds=odds, waiting=seen.waiting if seen else {},
                   before=dict(blame.before), log=seen.log if seen else first.log, first=first)


# --- one stuck run ----------------------------------------------------------------------------------------------------


class Witness(NamedTuple):
    """A stuck run."""

    log: Log
    waiting: dict[str, str]


class Unlucky(Seeded):
    """Draws as a seed does, but gives claims volumes of a node where another one has one already, if it can."""

    def __init__(self, seed: int, ties: str, volumes: Mapping[str, str]) -> None:
        super().__init__(seed, ties)
        self._volumes = volumes
        self._taken: dict[str, None] = {}

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The first option on a node that was chosen before."""
        chosen = super().choose(point, about, options, weights)
        if point == "volume":
            chosen = next((each for each in options if self._volumes.get(each.name) in self._taken), chosen)
        if chosen.name in self._volumes:
            self._taken[self._volumes[chosen.name]] = None
        return chosen


def _stuck_run(blame: Blame, first: Run) -> Witness | None:
    """The first run, if it is stuck."""
    waiting = blame.caused(first.waiting) if first.verdict == STUCK else {}
    return Witness(first.log, waiting) if waiting else None


def _unlucky(question: Question, blame: Blame) -> Witness | None:
    """A run with the worst luck with volumes, if it is stuck: proof that it may get stuck, however unlikely."""
    if question.ties not in ("uniform", "go-map"):
        return None  # some tied volumes are never taken
    objects = [item.obj for item in (*question.given.present, *question.given.new)]
    volumes = {obj.name: reach.values[0] for obj in objects if isinstance(obj, PersistentVolume)
               and len((reach := Reach.of(obj)).values) == 1}
    chooser = Unlucky(question.seed, question.ties, volumes)
    ended = run(question.scenario, seed=question.seed, ties=question.ties, chooser=chooser)
    waiting = blame.caused(ended.waiting) if ended.verdict == STUCK else {}
    return Witness(ended.log, waiting) if waiting else None


# --- many runs --------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """How a run ended."""

    seed: int
    verdict: str
    waiting: dict[str, str]


def endings(shared: tuple[Scenario, str], seeds: Sequence[int]) -> list[Ending]:
    """How the runs with some seeds end."""
    scenario, ties = shared
    return [_ending(run(scenario, seed=seed, ties=ties, keep_log=False), seed) for seed in seeds]


def _ending(ended: Run, seed: int) -> Ending:
    return Ending(seed, ended.verdict, {str(key): what for key, what in ended.waiting.items()})


def _endings(question: Question, first: Run, most: int | None) -> Iterator[Ending]:
    """The run that is known, then others; their seeds are derived from its seed and their number."""
    yield _ending(first, question.seed)
    cost = first.world.store.version
    size = max(1, _WORTH // cost)
    last = most if most is not None else 1 << 40
    chunks: Iterable[list[int]] = (
        [derived_seed(question.seed, number) for number in range(start, min(start + size, last))]
        for start in range(1, last, size))
    workers = question.jobs if last * cost > 2 * _WORTH else 1
    for found in in_order(endings, (question.scenario, question.ties), chunks, workers, question.must_stop):
        yield from found


def _log_of(question: Question, first: Run, seed: int) -> Log:
    return first.log if seed == question.seed else run(question.scenario, seed=seed, ties=question.ties).log


def _sampled(
    question: Question, blame: Blame, first: Run, unlucky: Callable[[], Witness | None], known: Outlook, begin: float
) -> Outlook:
    """The verdict over a sample of runs; what was not seen is not claimed.

    Parameters
    ----------
    known : what came of the exploration.
    """
    runs = stuck = undecided = 0
    witness: tuple[int, dict[str, str]] | None = None
    precision = question.precision
    most = max(40, min(MOST_RUNS, _WRITES // first.world.store.version)) if precision is None else None
    look = looks()
    next_look = next(look)
    for ended in _endings(question, first, most):
        waiting = blame.caused(ended.waiting) if ended.verdict == STUCK else {}
        if ended.waiting and not known.before:
            known.before = dict(blame.before)
        runs += 1
        stuck += bool(waiting)
        undecided += ended.verdict not in (CONVERGED, STUCK)
        if waiting and witness is None:
            witness = ended.seed, waiting
        if runs == next_look:
            next_look = next(look)
            low, high = _bounds(stuck, undecided, runs)
            if precision is not None and high - low <= 2 * precision:
                break
        if question.clock() - begin > question.patience:
            break
    low, high = _bounds(stuck, undecided, runs)
    known.odds = Odds(ties=question.ties, stuck=stuck / runs, low=low, high=high, runs=runs)
    known.is_proven = stuck + undecided < runs  # of "may get stuck": one that does is seen below, and one that does not
    how_many = f"all {runs} runs" if stuck == runs else f"{stuck} of {runs} runs" if stuck else f"no run of {runs}"
    known.why = f"{how_many} got stuck (sampled)"
    if witness is not None:
        known.verdict, known.waiting = MAY_GET_STUCK, witness[1]
        known.log = _log_of(question, first, witness[0])
    elif known.waiting:
        known.verdict = MAY_GET_STUCK
        known.why += ", but one of those explored does"
    elif (seen := unlucky()) is not None:
        known.verdict, known.waiting, known.log = MAY_GET_STUCK, seen.waiting, seen.log
        known.why += ", but one that was made as unlucky as can be did"
    else:
        known.is_proven = False
        if undecided:
            known.why = f"{undecided} of {runs} runs came to no end: {first.why}"
    return known


def _bounds(stuck: int, undecided: int, runs: int) -> tuple[float, float]:
    """Runs that came to no end may all have been on the way to getting stuck."""
    return wilson(stuck, runs)[0], wilson(stuck + undecided, runs)[1]
