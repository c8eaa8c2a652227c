"""Toy components for tests of the world and its drivers: flows are plain functions, the memory is a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simulator.api.core import Node
from simulator.api.meta import Key, evolve
from simulator.choices import Chooser, Seeded
from simulator.cluster.component import Change, Periodic, View
from simulator.cluster.world import World
from simulator.drivers.timed import Timed
from simulator.flows import DONE, Flow, Poll, Remember, Tell, Told
from simulator.latency import Latency, constant
from simulator.units import HOUR, MILLISECOND, Micros

A, B, C = Key("Toy", "", "a"), Key("Toy", "", "b"), Key("Toy", "", "c")

SLOW: Mapping[str, Latency] = {
    "api": constant(2 * MILLISECOND), "read": constant(MILLISECOND), "watch": constant(MILLISECOND),
    "work": constant(0), "nap": constant(7 * MILLISECOND),
}


class Diary(list[Any]):
    """A component's memory: what it was told to remember."""

    def copy(self) -> Diary:
        return Diary(self)


class Toy:
    """A component made of functions."""

    def __init__(
        self,
        flow: Callable[[str, Key, View], Flow],
        *,
        name: str = "toy",
        queues: Mapping[str, int] | None = None,
        watches: Iterable[str] = (),
        periodics: Sequence[Periodic] = (),
        observe: Callable[[Change, View], Iterable[Told]] = lambda change, view: (),
        check: Callable[[Poll, View], Any] = lambda poll, view: None,
    ) -> None:
        self.name = name
        self.queues = queues if queues is not None else {"main": 1}
        self.watches = frozenset(watches)
        self.periodics = periodics
        self._flow = flow
        self._observe = observe
        self._check = check

    def new_memory(self) -> Diary:
        return Diary()

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        return self._observe(change, view)

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        return self._flow(queue, key, view)

    def remember(self, memory: Diary, what: Any, now: Micros) -> None:
        memory.append((now, what))

    def check(self, poll: Poll, view: View) -> Any:
        return self._check(poll, view)


def idle(queue: str, key: Key, view: View) -> Flow:
    """A sync that notes itself down and does nothing."""
    yield Tell(Remember(key.name))
    return DONE


def labelled(node: Node, name: str, value: str) -> Node:
    """The node with a label; what `Patch` applies."""
    return evolve(node, metadata=evolve(node.metadata, labels={**node.metadata.labels, name: value}))


class Run:
    """A world of toys on a clock."""

    def __init__(
        self, *toys: Toy, latencies: Mapping[str, Latency] | None = None, chooser: Chooser | None = None
    ) -> None:
        self.world = World(toys, chooser or Seeded(0))
        self.driver = Timed(self.world, {**SLOW, **(latencies or {})})

    def to_the_end(self, until: Micros = HOUR) -> Run:
        """Run until nothing is left to do, or to the horizon."""
        self.driver.run(until, lambda: False)
        return self

    def diary(self, name: str = "toy") -> list[Any]:
        """What a component has remembered, with the time."""
        return list(self.world.runtimes[name].memory)

    def said(self, name: str = "toy") -> list[Any]:
        """What a component has remembered."""
        return [what for _, what in self.diary(name)]
