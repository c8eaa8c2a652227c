"""Experiments: a scenario is run in every way in which its ties can fall, or over some seeds, and the end looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import prod
from typing import Final

from msgspec import Struct

from simulator.api.meta import Key
from simulator.assembly import LATENCIES
from simulator.choices import Chooser, Scripted, Seeded
from simulator.drivers.timed import Timed
from simulator.errors import ManifestError
from simulator.eventlog import NoLog
from simulator.explanation.verdict import CONVERGED
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster
from simulator.units import HOUR, Micros

EVERY: Final = 24
"""With no more ways to break ties than this, each is run; else so many seeds are."""
SEEDS: Final = 6
OBJECTS: Final = 12_000
"""Where there are many objects fewer runs are made: so many that they have no more objects than this together."""
HORIZON: Final[Micros] = HOUR
"""What has not reached its goal by then goes round in circles: the longest patience of a controller is 10 minutes."""
UIDS: Final = 1 << 40
"""Uids given in an experiment begin here, so that none is given that an object of the run has."""

ANY: Final = "any"
ALL: Final = "all"
COUNT: Final = "count"
"""What is asked of an experiment: whether some run reaches the goal, whether all do, or how many."""

Goal = Collection[Key] | None
"""Objects that must reach their goal, a node that must be drained; None: everything must."""


class Outcome(Struct, frozen=True):
    """What came of an experiment.

    Attributes
    ----------
    resolved, runs : so many runs of so many reached the goal; a question that is answered early ends the runs.
    is_every_run : whether the runs are all that there can be, ties branched.
    short : what was short of its goal at the end of the last run that did not reach it.
    refused : why it could not be run; "" if it could.
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


Judge = Callable[[Scenario, Goal, str], Outcome]
"""Runs an experiment; an exhaustive exploration can take the place of `by_running`."""


class Ended(Struct, frozen=True):
    """The end of one run of an experiment.

    Attributes
    ----------
    short : what is short of the goal, in words.
    """

    cluster: Cluster
    short: tuple[str, ...]


def by_running(scenario: Scenario, goal: Goal, asked: str) -> Outcome:
    """Run a scenario in every way in which its ties can fall, if these are few, else with some seeds.

    Parameters
    ----------
    asked : `ANY` stops at the first run that reaches the goal, `ALL` at the first that does not.
    """
    most = max(2, min(EVERY, OBJECTS // max(1, len(scenario.initial.objects))))
    first = chooser = Scripted()
    others: list[Chooser] | None = None  # seeds, once it is known that there are too many ways
    resolved = runs = 0
    short: tuple[str, ...] = ()
    is_complete = False
    current: Chooser | None = first
    while current is not None:
        try:
            missing = ended(scenario, current, goal).short
        except ManifestError as problem:
            return Outcome(0, runs + 1, False, short, str(problem))
        runs += 1
        resolved += not missing
        short = missing or short
        if (asked == ANY and not missing) or (asked == ALL and missing):
            break
        if current is first and prod(len(options) for _, _, options, _, _ in first.asked) > most:
            others = [Seeded(seed, scenario.spec.ties) for seed in range(min(SEEDS, most) - 1, 0, -1)]
        if others is not None:
            current = others.pop() if others else None
            continue
        script = _next(chooser)
        is_complete = script is None
        if script is None or runs >= 2 * most:
            break
        current = chooser = Scripted(script)
    return Outcome(resolved, runs, is_complete, short)


def ended(scenario: Scenario, chooser: Chooser, goal: Goal) -> Ended:
    """Run an experiment once.

    Raises
    ------
    ManifestError
        If the API server refuses an initial object.
    """
    cluster = Cluster(scenario, chooser, lambda world: Timed(world, {**LATENCIES, **scenario.latencies}), NoLog())
    store = cluster.store
    store.restore(store.save()._replace(uids=UIDS))
    verdict, why = cluster.run(HORIZON)
    return Ended(cluster, _short(cluster, scenario, goal, verdict, why))


def _short(cluster: Cluster, scenario: Scenario, goal: Goal, verdict: str, why: str) -> tuple[str, ...]:
    if cluster.script.failures:
        return tuple(cluster.script.failures)
    unmet = cluster.goals.unmet
    if goal is None:
        return tuple(f"{key} {lack}" for key, lack in unmet.items()) or (() if verdict == CONVERGED else (why,))
    if any(key.kind == "Node" for key in goal):
        finished = cluster.world.runtimes["kubectl"].memory.finished
        return tuple(entry.words for entry in scenario.timeline if entry.actions and entry.number not in finished)
    return tuple(f"{key} {unmet[key]}" for key in goal if key in unmet)


def _next(chooser: Scripted) -> list[int] | None:
    """The next sequence of answers in lexical order, or None after the last."""
    taken = [position for *_, position in chooser.asked]
    for turn in range(len(taken) - 1, -1, -1):
        if taken[turn] + 1 < len(chooser.asked[turn][2]):
            return [*taken[:turn], taken[turn] + 1]
    return None
