"""Experiments: a scenario is run in every way in which its ties can fall, or over some seeds, and the end looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Final

from msgspec import Struct

from simulator.api.meta import Key
from simulator.choices import Chooser, Scripted, Seeded
from simulator.errors import ManifestError
from simulator.explanation.verdict import CONVERGED
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster, Run, run
from simulator.units import HOUR, Micros

EVERY: Final = 24
"""With no more ways to break ties than this, each is run; else so many seeds are."""
SEEDS: Final = 6
OBJECTS: Final = 12_000
"""Where there are many objects fewer runs are made: so many that they have no more objects than this together."""
HORIZON: Final[Micros] = 2 * HOUR
UIDS: Final = 1 << 40
"""Uids given in an experiment begin here, so that none is given that an object of the run has."""


class Outcome(Struct, frozen=True):
    """What came of an experiment.

    Attributes
    ----------
    resolved, runs : so many runs of so many reached the goal; a question that is answered early ends the runs.
    is_every_run : whether the runs are all that there can be, ties branched.
    short : what was short of its goal at the end of the last run that did not reach it.
    refused : why it could not be run, or which command failed; "" if nothing did.
    """

    resolved: int
    runs: int
    is_every_run: bool
    short: tuple[str, ...] = ()
    refused: str = ""

    @property
    def can(self) -> bool:
        """Whether some run reached the goal."""
        return self.resolved > 0

    @property
    def always(self) -> bool:
        """Whether every run reached the goal."""
        return self.resolved == self.runs > 0


ANY: Final = "any"
ALL: Final = "all"
COUNT: Final = "count"
"""What is asked of an experiment: whether some run reaches the goal, whether all do, or how many."""

Goal = Collection[Key] | None
"""Objects that must reach their goal; None: everything must."""

Judge = Callable[[Scenario, Goal, str], Outcome]
"""Runs an experiment; an exhaustive exploration can take the place of `by_running`."""


def by_running(scenario: Scenario, goal: Goal, asked: str) -> Outcome:
    """Run a scenario in every way in which its ties can fall, if these are few, else with some seeds.

    Parameters
    ----------
    asked : `ANY` stops at the first run that reaches the goal, `ALL` at the first that does not.
    """
    most = max(2, min(EVERY, OBJECTS // max(1, len(scenario.initial.objects))))
    first = Scripted()
    choosers: list[Chooser] = []
    resolved = runs = 0
    short: tuple[str, ...] = ()
    is_every_run = True
    chooser: Chooser = first
    script: list[int] | None = []
    while True:
        try:
            played = run(scenario, chooser=chooser, keep_log=False, prepare=_with_new_uids)
            missing = missed(played, goal, scenario)
        except ManifestError as problem:
            return Outcome(0, runs + 1, True, short, str(problem))
        runs += 1
        resolved += not missing
        short = missing or short
        if chooser is first and prod(len(options) for _, _, options, _, _ in first.asked) > most:
            is_every_run = False
            choosers = [Seeded(seed, scenario.spec.ties) for seed in range(min(SEEDS, most) - 1, 0, -1)]
        if (asked == ANY and not missing) or (asked == ALL and missing):
            break
        if is_every_run:
            assert isinstance(chooser, Scripted)
            script = _next(chooser)
            if script is None:
                break
            if runs >= 2 * most:
                is_every_run = False
                break
            chooser = Scripted(script)
        elif choosers:
            chooser = choosers.pop()
        else:
            break
    is_answered_early = runs > 0 and ((asked == ANY and resolved) or (asked == ALL and short))
    return Outcome(resolved, runs, is_every_run and not is_answered_early, short)


def missed(played: Run, goal: Goal, scenario: Scenario) -> tuple[str, ...]:
    """What is short of its goal at the end of a run: of everything, or of some objects; a node is to be drained."""
    if played.failures:
        return played.failures
    if goal is None:
        short = tuple(f"{key} {why}" for key, why in played.waiting.items())
        return short or (() if played.verdict == CONVERGED else (played.why,))
    if any(key.kind == "Node" for key in goal):
        finished = played.world.runtimes["kubectl"].memory.finished
        return tuple(entry.words for entry in scenario.timeline if entry.actions and entry.number not in finished)
    return tuple(f"{key} {played.waiting[key]}" for key in goal if key in played.waiting)


def _next(chooser: Scripted) -> list[int] | None:
    """The next sequence of answers in lexical order, or None after the last."""
    taken = [position for *_, position in chooser.asked]
    for turn in range(len(taken) - 1, -1, -1):
        if taken[turn] + 1 < len(chooser.asked[turn][2]):
            return [*taken[:turn], taken[turn] + 1]
    return None


def _with_new_uids(cluster: Cluster) -> None:
    store = cluster.world.store
    store.restore(store.save()._replace(uids=UIDS))
