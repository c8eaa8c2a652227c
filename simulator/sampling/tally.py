"""How runs end, counted as they come in: shares with their intervals, and what stuck runs failed on."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simulator.explanation.verdict import CONVERGED, NO_VERDICT, STUCK
from simulator.sampling.intervals import half_width, wilson
from simulator.sampling.runs import Outcome

VERDICTS: Final = (CONVERGED, STUCK, NO_VERDICT)


class Share(Struct, frozen=True):
    """How often runs ended so.

    Attributes
    ----------
    low, high : Wilson's interval around the share; 0 and 1 without runs.
    """

    verdict: str
    runs: int
    share: float
    low: float
    high: float


class Group(Struct, frozen=True):
    """Runs that have something in common.

    Attributes
    ----------
    what : what it is.
    plugins : the scheduler's plug-ins that refuse, if it is a pod that is refused.
    objects : the objects that are short of their goal first, each with its number of runs, most frequent first.
    seed : of the first of these runs; ``bindsim run --seed`` makes it again.
    """

    what: str
    runs: int
    seed: int
    plugins: tuple[str, ...] = ()
    objects: dict[str, int] = {}


class Progress(Struct, frozen=True):
    """How far sampling has come.

    Attributes
    ----------
    runs : made so far.
    total : runs in all, as far as can be told.
    stuck : runs so far that are stuck.
    low, high : the interval for "stuck" so far.
    """

    runs: int
    total: int
    stuck: int
    low: float
    high: float


class Groups:
    """Runs by what they have in common."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, tuple[str, ...]], Group] = {}

    def add(self, seed: int, what: str, plugins: tuple[str, ...] = (), subject: str = "") -> None:
        """One run more."""
        known = self._found.get((what, plugins), Group(what, 0, seed, plugins, {}))
        objects = dict(known.objects)
        if subject:
            objects[subject] = objects.get(subject, 0) + 1
        self._found[what, plugins] = Group(what, known.runs + 1, known.seed, plugins, objects)

    def sorted(self) -> tuple[Group, ...]:
        """Most frequent first."""
        return tuple(
            Group(each.what, each.runs, each.seed, each.plugins,
                  dict(sorted(each.objects.items(), key=lambda item: (-item[1], item[0]))))
            for each in sorted(self._found.values(), key=lambda each: (-each.runs, each.what))
        )


class Tally:
    """What the runs so far amount to; it sees them one by one, in their order."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._ended = dict.fromkeys(VERDICTS, 0)
        self.runs = 0
        self.causes, self.undecided, self.failures = Groups(), Groups(), Groups()

    @property
    def stuck(self) -> int:
        """Runs that are stuck."""
        return self._ended[STUCK]

    def add(self, ended: Outcome) -> None:
        """One run more."""
        self.runs += 1
        self._ended[ended.verdict] += 1
        if ended.cause is not None:
            self.causes.add(ended.seed, ended.cause.what, ended.cause.plugins, ended.cause.object)
        if ended.verdict == NO_VERDICT:
            self.undecided.add(ended.seed, ended.why)
        for failure in ended.failures:
            self.failures.add(ended.seed, failure)

    def share(self, verdict: str) -> Share:
        """How often runs ended so."""
        hits = self._ended[verdict]
        low, high = wilson(hits, self.runs, self._confidence)
        return Share(verdict, hits, hits / self.runs if self.runs else 0.0, low, high)

    def width(self) -> float:
        """Half the width of the interval for "stuck"."""
        return half_width(self.stuck, self.runs, self._confidence)

    def progress(self, runs: int | None, precision: float | None) -> Progress:
        """How far it has come; how far it has to go is a guess if it depends on what is found."""
        totals = [runs] if runs is not None else []
        if precision is not None:
            totals.append(round(self.runs * (self.width() / precision) ** 2))
        low, high = wilson(self.stuck, self.runs, self._confidence)
        return Progress(self.runs, max(self.runs, min(totals)), self.stuck, low, high)
