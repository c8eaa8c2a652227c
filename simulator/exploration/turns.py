"""Steps in words, and how one that was taken is found again."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

from msgspec import Struct

from simulator.api.meta import Key
from simulator.cluster.steps import Deliver, Fire, Resume, Start, Tick
from simulator.exploration.engine import Moment, Move, Wake
from simulator.flows import Bind, Create, Delete, Evict, Get, ListLive, Patch, Poll, Sleep, Update, UpdateStatus
from simulator.scheduler.failure import CYCLE


class Label(Struct, frozen=True):
    """What a transition does: the step, in a few words, and how the ties in it were broken."""

    actor: str
    what: str
    about: Key | None = None
    chosen: tuple[tuple[str, Key, Key], ...] = ()

    def __str__(self) -> str:
        about = f" {self.about.name or self.about.kind}" if self.about is not None else ""
        chosen = ", ".join(f"{option.name} for {about.name}" for _, about, option in self.chosen)
        return f"{self.actor}: {self.what}{about}" + (f" → {chosen}" if chosen else "")


class Turn(NamedTuple):
    """How a step is found again: its place among those that can come, and what is chosen in it.

    Attributes
    ----------
    sort : MOVE, LOOK, TICK or TIMER.
    """

    sort: str
    place: int
    chosen: tuple[Key, ...] = ()


MOVE, LOOK, TICK, TIMER = "move", "look", "tick", "timer"


class Transition(NamedTuple):
    """A step that may come next, with one way of breaking its ties.

    Attributes
    ----------
    group : tells the step from the others that may come next; a call that fails is a step of its own, not a matter of
        chance.
    chance : of breaking the ties this way.
    turns : how to take it again.
    touched : the names that it has to do with.
    """

    label: Label
    group: str
    chance: Fraction
    turns: tuple[Turn, ...]
    after: Moment
    touched: frozenset[str] = frozenset()


_CALLS: Final[dict[type, str]] = {
    Create: "creates", Update: "updates", UpdateStatus: "updates the status of", Patch: "patches", Delete: "deletes",
    Bind: "binds", Evict: "evicts", Get: "reads", ListLive: "lists", Poll: "has waited for", Sleep: "goes on with",
}


def label_of(move: Move) -> Label:
    """A step in words, before it is taken."""
    match move:
        case Start():
            queue = move.runtime.queues[move.queue]
            key = move.key if move.key is not None else next(iter(queue.ready), None)
            if move.runtime.component.name == "scheduler" and move.queue == CYCLE:
                if key is not None and key.kind != "Pod":
                    head = move.runtime.memory.queue.head(0)
                    key = head.key if head is not None else None
                return Label("scheduler", "schedules", key)
            return Label(move.runtime.component.name, "looks at", key)
        case Resume():
            intent = move.task.intent
            target = getattr(intent, "key", None) or getattr(getattr(intent, "obj", None), "key", None) or move.task.key
            return Label(move.task.runtime.component.name, _CALLS.get(type(intent), "goes on with"), target)
        case Deliver():
            return Label(move.targets[0].component.name, "sees", move.change.key)
        case Fire():
            return Label(move.runtime.component.name, "tries again" if move.queue != CYCLE else "wakes", move.key)
        case Tick():
            return Label(move.runtime.component.name, move.periodic.name)
        case Wake():
            return Label("timeline", "has waited")
        case _:
            return Label("timeline", "goes on")
