"""When nothing can come any more: the question behind every verdict, the same for both drivers."""

from __future__ import annotations

from typing import Final

from simulator.api.meta import Key
from simulator.cluster.steps import Fire, Step
from simulator.cluster.world import World
from simulator.units import MINUTE, Micros

QUIET: Final[Micros] = 6 * MINUTE
"""Longer than every periodic timer, the scheduler's 300–330 s flush included (SC-13): after so long without any change
of an object, each has fired and changed nothing."""

_Timer = tuple[str, str, Key]


class Rest:
    """Watches the timers of a world.

    A timer that keeps coming back for the same key without any object changing counts as periodic; a timer that has not
    fired since the last change is one-shot, and may still change something.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed: dict[_Timer, int] = {}
        self._fired: dict[_Timer, None] = {}
        self._version = -1
        periods = [periodic.every for one in world.runtimes.values() for periodic in one.component.periodics]
        self._quiet = max(QUIET, *periods, 0)

    def arm(self, step: Step) -> None:
        """A step was put on the agenda."""
        if isinstance(step, Fire):
            timer = (step.runtime.component.name, step.queue, step.key)
            self._armed[timer] = self._armed.get(timer, 0) + 1

    def fire(self, step: Step) -> None:
        """A step has come up."""
        if self._version != self._world.store.version:
            self._version = self._world.store.version
            self._fired.clear()
        if isinstance(step, Fire):
            timer = (step.runtime.component.name, step.queue, step.key)
            self._fired[timer] = None
            self._armed[timer] -= 1
            if not self._armed[timer]:
                del self._armed[timer]

    def is_calm(self) -> bool:
        """Whether nothing is under way and no one-shot timer is left; periodic ones go on."""
        if self._world.in_flight:
            return False
        fired = self._fired if self._version == self._world.store.version else {}
        return all(timer in fired for timer in self._armed)

    def is_reached(self) -> bool:
        """Whether it is calm, and every periodic timer has fired in vain too."""
        world = self._world
        return (
            world.now - world.last_change >= self._quiet
            and self._version == world.store.version
            and self.is_calm()
        )
