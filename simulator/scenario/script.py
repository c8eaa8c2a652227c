"""Carries a timeline out: looks, between two moments, whether the next entry is due, and starts what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from simulator.cluster.world import World
from simulator.flows import Note
from simulator.scenario.conditions import Situation
from simulator.scenario.kubectl import CLIENT, Memory, Sequel
from simulator.scenario.timeline import Entry, Fault
from simulator.units import Micros, format_duration


class SavedScript(NamedTuple):
    """How far a timeline had come at a moment; `due` is when its next entry is, 0 if it has no time of its own."""

    next: int
    due: Micros
    running: tuple[Entry, ...]
    not_before: Micros
    failures: tuple[str, ...]


class Script:
    """The entries of a timeline in order.

    An entry is due when the one before it has begun, its time has come and its conditions hold; one that names neither
    a time nor a condition, when all before it are done. So an ``at:`` need not wait for a drain that is held up.

    Attributes
    ----------
    failures : what went wrong: refusals that were not allowed for, reads that found something else.
    """

    def __init__(
        self, entries: tuple[Entry, ...], world: World, situation: Situation,
        faults: Mapping[type[Fault], Callable[[World, Fault, int], str | None]], wake: Callable[[Micros], None],
    ) -> None:
        self._entries = entries
        self._world = world
        self._situation = situation
        self._faults = faults
        self._wake = wake
        self._next = 0
        self._running: list[Entry] = []
        self._not_before: Micros = 0
        self.failures: list[str] = []

    def save(self) -> SavedScript:
        """How far it has come."""
        due = self._entries[self._next].at or 0 if self._next < len(self._entries) else 0
        return SavedScript(self._next, due, tuple(self._running), self._not_before, tuple(self.failures))

    def restore(self, saved: SavedScript) -> None:
        """Go back to where it was."""
        self._next, self._not_before = saved.next, saved.not_before
        self._running, self.failures = list(saved.running), list(saved.failures)

    @property
    def is_done(self) -> bool:
        """Whether every entry has been carried out."""
        return self._next == len(self._entries) and not self._running and self._world.now >= self._not_before

    @property
    def waiting_for(self) -> str | None:
        """The condition of the next entry, if nothing but that keeps it from being carried out."""
        if self._next == len(self._entries) or self._running:
            return None
        entry, now = self._entries[self._next], self._world.now
        if not entry.when or now < self._not_before or (entry.at is not None and now < entry.at):
            return None
        return " and ".join(condition.text for condition in entry.when)

    @property
    def place(self) -> str:
        """The entry that it has come to, in words."""
        if self._running:
            first = self._running[0]
            return f"entry {first.number} ({first.words}) of the timeline was being carried out"
        if self._next < len(self._entries):
            entry = self._entries[self._next]
            return f"entry {entry.number} ({entry.words}) of the timeline was still to come"
        return "the timeline was done"

    def advance(self) -> bool:
        """Start what is due, until the world has steps to take at this moment.

        Returns
        -------
        Whether something was started.
        """
        started = False
        while self._step():
            started = True
            if self._world.enabled:
                break
        return started

    def _step(self) -> bool:
        """Start the next entry, if it is due."""
        world = self._world
        self._collect()
        if self._next == len(self._entries) or world.now < self._not_before:
            return False
        entry = self._entries[self._next]
        if self._running and entry.at is None and not entry.when:
            return False
        if entry.at is not None and world.now < entry.at:
            self._rest(entry.at)
            return False
        if entry.when and not all(condition.holds(self._situation) for condition in entry.when):
            return False
        self._next += 1
        self._start(entry)
        return True

    def _collect(self) -> None:
        """Take note of what is done, and of what was refused."""
        memory: Memory = self._world.runtimes["kubectl"].memory
        for entry in list(self._running):
            refusals = memory.finished.get(entry.number)
            if refusals is not None:
                self._running.remove(entry)
                if not entry.may_fail:
                    self.failures.extend(f"timeline entry {entry.number}: {refusal}" for refusal in refusals)

    def _start(self, entry: Entry) -> None:
        world = self._world
        if entry.pause:
            self._rest(world.now + entry.pause)
        for fault in entry.faults:
            problem = self._faults[type(fault)](world, fault, entry.number)
            if problem is not None and not entry.may_fail:
                self.failures.append(f"timeline entry {entry.number}: {problem}")
        if entry.actions:
            self._running.append(entry)
            world.spawn("kubectl", "actions", CLIENT, Sequel(entry.number, entry.actions))
        elif not entry.faults:
            words = f"sleep {format_duration(entry.pause)}" if entry.pause else entry.words
            world.tell("kubectl", Note("action", CLIENT, {"entry": entry.number, "action": words, "refused": None}))

    def _rest(self, until: Micros) -> None:
        if until > self._not_before:
            self._not_before = until
            self._wake(until)
