"""One run among many: its seed, how it ended, and what it failed on first."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from msgspec import Struct

from simulator.api.meta import Key
from simulator.cluster.store import Store
from simulator.eventlog import Log, LogEntry, NoLog
from simulator.explanation.evidence import gather
from simulator.explanation.verdict import STUCK
from simulator.sampling.causes import Cause, first_cause
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster, run
from simulator.units import Micros


def derived_seed(root: int, index: int) -> int:
    """The seed of one run among many: a hash, so that it depends on nothing but these two numbers.

    Examples
    --------
    >>> derived_seed(0, 0), derived_seed(0, 1), derived_seed(1, 0)
    (278410054757038, 257136141338969, 131932794511553)
    """
    return int.from_bytes(blake2b(f"{root}|{index}".encode(), digest_size=6).digest(), "big")


class Question(Struct, frozen=True):
    """What all runs have in common."""

    scenario: Scenario
    root: int
    ties: str
    until: Micros | None = None


class Outcome(Struct, frozen=True):
    """How one run ended.

    Attributes
    ----------
    why : the verdict in a sentence.
    cause : what a stuck run failed on first.
    failures : what went wrong in its timeline.
    writes : how many changes of objects it took: a measure of its cost.
    """

    seed: int
    verdict: str
    why: str
    cause: Cause | None
    failures: tuple[str, ...]
    writes: int


def outcomes(question: Question, indexes: range) -> list[Outcome]:
    """How some of the runs end."""
    return [outcome(question, derived_seed(question.root, index)) for index in indexes]


def outcome(question: Question, seed: int) -> Outcome:
    """How the run with a seed ends, and if it gets stuck, on what."""
    words = LastWords()

    def listen(cluster: Cluster) -> None:
        cluster.world.log = words

    ended = run(question.scenario, seed=seed, ties=question.ties, until=question.until, keep_log=False, prepare=listen)
    store = ended.world.store
    cause = first_cause(gather(words.log(store))) if ended.verdict == STUCK else None
    return Outcome(seed, ended.verdict, ended.why, cause, ended.failures, store.version)


class LastWords(NoLog):
    """Keeps of a run what explains its end: the last that was said about each object, and which kubelets stand still.

    With the objects as they are at the end this gives the same reasons as the whole log, and does not grow with the
    run. It costs 3 % of a run of the devil, and the reasons another 3 %; to make each stuck run once more, with a log,
    would cost 70 %.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[tuple[str, Key, str], LogEntry] = {}

    def append(self, time: Micros, actor: str, verb: str, key: Key, *rest: Any, **more: Any) -> None:
        """Take note of an entry."""
        super().append(time, actor, verb, key, *rest, **more)
        entry = self.entries[-1]
        match verb:
            case "schedule-failed":
                self._keep((verb, key, ""), entry)
            case "event":
                self._keep((verb, key, (entry.detail or {})["reason"]), entry)
            case "node-stopped":
                self._keep((verb, key, ""), entry)
            case "node-started":
                self._kept.pop(("node-stopped", key, ""), None)
            case "bind" | "remove":
                self._kept.pop(("schedule-failed", key, ""), None)

    def _keep(self, what: tuple[str, Key, str], entry: LogEntry) -> None:
        self._kept.pop(what, None)
        self._kept[what] = entry

    def log(self, store: Store) -> Log:
        """A log that ends with the objects of a store, and with what was said last."""
        short = Log()
        for kind in store.kinds():
            for key, obj in store.of_kind(kind).items():
                short.append(0, "", "load", key, obj.metadata.resource_version, "", None, None, obj)
        short.entries.extend(self._kept.values())
        short.entries.extend(self.entries)
        return short
