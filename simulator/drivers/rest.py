"""When nothing can come any more: the question behind every "stuck", the same for both drivers."""

from __future__ import annotations

from typing import Final

from simulator.api.meta import Key
from simulator.cluster.steps import Fire, Step
from simulator.cluster.world import World
from simulator.units import MINUTE, Micros

QUIET: Final[Micros] = 6 * MINUTE
"""Longer than every periodic timer, the scheduler's 300–330 s flush included (SC-13): after so long without any change of an
object, each has fired and changed nothing."""

_Timer = tuple[str, str, Key]


class Rest:
    """Watches the timers of a world.

    A timer that keeps coming back for the same key without any object changing counts as periodic; a timer that has not fired
    since the last change is one-shot, and may still change something.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._armed: dict[_Timer, int] = {}
        self._fired: dict[_Timer, None] = {}
        self._since: Micros = -1

    def arm(self, step: Step) -> None:
        """A step was put on the agenda."""
        if isinstance(step, Fire):
            timer = (step.runtime.component.name, step.queue, step.key)
            self._armed[timer] = self._armed.get(timer, 0) + 1

    def fire(self, step: Step) -> None:
        """A step has come up."""
        if self._since != self._world.last_change:
            self._since = self._world.last_change
            self._fired.clear()
        if isinstance(step, Fire):
            timer = (step.runtime.component.name, step.queue, step.key)
            self._fired[timer] = None
            self._armed[timer] -= 1
            if not self._armed[timer]:
                del self._armed[timer]

    def is_reached(self) -> bool:
        """Whether nothing is under way, no one-shot timer is left, and every periodic one has fired in vain."""
        world = self._world
        if world.in_flight or world.now - world.last_change < QUIET or self._since != world.last_change:
            return False
        return all(timer in self._fired for timer in self._armed)
