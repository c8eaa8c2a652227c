"""The timed driver: one run in virtual time, on simpy's clock. A newcomer starts reading here.

    while something is enabled:  ask what it costs → put it on the agenda → let time pass → carry it out

Nothing sleeps: simulated time jumps from one step to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import simpy

from simulator.cluster.steps import Deliver, Enabled, Fire, Runtime, Step, Tick
from simulator.cluster.world import World
from simulator.drivers.rest import Rest
from simulator.latency import Latency, default_latency
from simulator.units import Micros


class Timed:
    """Runs a world on a clock.

    Parameters
    ----------
    world : with its initial objects loaded.
    latencies : by point; what is missing has Kubernetes' own (`simulator.latency`).

    Attributes
    ----------
    rest : whether anything can still come.
    """

    def __init__(self, world: World, latencies: Mapping[str, Latency] | None = None) -> None:
        self.world = world
        self.rest = Rest(world)
        self._clock = simpy.Environment(initial_time=0)
        self._due: deque[Step] = deque()
        self._latencies: dict[str, Latency] = dict(latencies or {})
        self._channels: dict[tuple[Runtime, str], Micros] = {}

    def run(self, until: Micros, is_over: Callable[[], bool]) -> bool:
        """Take steps until `is_over`, which is asked between two moments, or until the horizon.

        Returns
        -------
        Whether it ended before the horizon.
        """
        world, clock, due = self.world, self._clock, self._due
        while True:
            while world.enabled or due:
                if world.enabled:
                    self._plan()
                if due:
                    world.take(due.popleft())
            if is_over():
                return True
            if world.enabled:
                continue
            moment = clock.peek()
            if moment > until:
                world.now = until
                return False
            world.now = int(moment)
            while clock.peek() == moment:
                clock.step()

    def wake(self, moment: Micros) -> None:
        """See to it that `is_over` is asked at that moment."""
        self._clock.timeout(max(0, moment - self.world.now))

    def _plan(self) -> None:
        """Put what has become possible on the agenda."""
        enabled, self.world.enabled = self.world.enabled, []
        for new in enabled:
            step = new.step
            if isinstance(step, Deliver):
                self._plan_delivery(step, new)
            else:
                self.rest.arm(step)
                self._agenda(self._delay(new), step)

    def _plan_delivery(self, step: Deliver, new: Enabled) -> None:
        """A watch keeps its order: a change is never seen before an earlier one of the same kind (CP-1)."""
        latency = self._latency("watch")
        if (fixed := latency.constant) is not None:
            self._agenda(fixed, step)
            return
        self.world.in_flight += len(step.targets) - 1
        for runtime in step.targets:
            channel = (runtime, step.change.key.kind)
            due = self.world.now + self.world.chooser.delay(f"watch/{runtime.component.name}", new.about, latency)
            due = max(due, self._channels.get(channel, 0))
            self._channels[channel] = due
            self._agenda(due - self.world.now, Deliver(step.change, (runtime,)))

    def _agenda(self, delay: Micros, step: Step) -> None:
        if delay <= 0:
            self._due.append(step)
            return
        timeout = self._clock.timeout(delay, step)
        assert timeout.callbacks is not None
        timeout.callbacks.append(self._arrive)

    def _arrive(self, timeout: simpy.Event) -> None:
        step: Any = timeout.value
        if isinstance(step, (Fire, Tick)):
            self.rest.fire(step)
        self._due.append(step)

    def _delay(self, new: Enabled) -> Micros:
        if not new.point:
            return new.delay
        latency = self._latency(new.point)
        fixed = latency.constant
        return fixed if fixed is not None else self.world.chooser.delay(new.point, new.about, latency)

    def _latency(self, point: str) -> Latency:
        found = self._latencies.get(point)
        if found is None:
            found = self._latencies.get(point.partition("/")[0]) or default_latency(point)
            self._latencies[point] = found
        return found
