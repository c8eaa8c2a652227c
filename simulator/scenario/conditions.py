"""Conditions of a timeline's ``when:``, such as ``StatefulSet/consul is ready`` or ``the cluster is settled``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, Pod
from simulator.api.kinds import find_kind
from simulator.api.meta import Key, Object
from simulator.cluster.store import Store
from simulator.explanation.verdict import shortfall

_CONDITION: Final = re.compile(r"(?P<kind>[\w.]+)/(?:(?P<namespace>[^/ ]+)/)?(?P<name>[^/ ]+) is (?P<state>[a-z ]+)")
_CLUSTER: Final = re.compile(r"(?:the )?cluster is (?P<state>ready|stuck|settled)")


class Situation(Protocol):
    """What a condition may look at."""

    @property
    def store(self) -> Store:
        """The objects."""

    def is_ready(self) -> bool:
        """Whether every object has reached its goal and nothing is under way."""

    def is_stuck(self) -> bool:
        """Whether something is short of its goal and nothing can come any more."""


def _phase(phase: str) -> Callable[[Object, Store], bool]:
    return lambda obj, store: getattr(getattr(obj, "status", None), "phase", None) == phase


def _ready(obj: Object, store: Store) -> bool:
    if isinstance(obj, Node):
        ready = obj.condition("Ready")
        return ready is not None and ready.status == "True"
    if isinstance(obj, Pod):
        return obj.is_ready
    return shortfall(obj, store) is None and (not isinstance(obj, StatefulSet) or obj.status.observed_generation > 0)


def _not_ready(obj: Object, store: Store) -> bool:
    return not _ready(obj, store)


def _scheduled(obj: Object, store: Store) -> bool:
    return isinstance(obj, Pod) and bool(obj.spec.node_name)


STATES: Final[dict[str, Callable[[Object, Store], bool]]] = {
    "ready": _ready,
    "not ready": _not_ready,
    "scheduled": _scheduled,
    "unscheduled": lambda obj, store: isinstance(obj, Pod) and not obj.spec.node_name,
    "terminating": lambda obj, store: obj.metadata.is_terminating,
    "present": lambda obj, store: True,
    **{name: _phase(name.capitalize()) for name in
       ("pending", "running", "succeeded", "failed", "bound", "lost", "available", "released", "active")},
}
"""What an object can be said to be, besides ``gone``."""


class Condition(Struct, frozen=True):
    """One parsed condition; `key` is None for one about the cluster."""

    text: str
    key: Key | None
    state: str

    def holds(self, situation: Situation) -> bool:
        """Whether it is true now."""
        if self.key is None:
            if self.state == "ready":
                return situation.is_ready()
            return situation.is_stuck() or (self.state == "settled" and situation.is_ready())
        obj = situation.store.find(self.key)
        if self.state == "gone":
            return obj is None
        return obj is not None and STATES[self.state](obj, situation.store)


def parse_condition(text: str, namespace: str) -> tuple[Condition, ...]:
    """Read a condition; several may be joined by " and ".

    Raises
    ------
    ValueError
        What is wrong, and what can be written instead.
    """
    return tuple(_parse_one(part.strip(), namespace) for part in text.split(" and "))


def _parse_one(text: str, namespace: str) -> Condition:
    if cluster := _CLUSTER.fullmatch(text):
        return Condition(text, None, cluster["state"])
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError(
            f'"{text}" is not a condition; write "KIND/NAME is STATE", such as "StatefulSet/web is ready", '
            'or "the cluster is settled"'
        )
    kind = find_kind(found["kind"])
    if kind is None:
        raise ValueError(f'"{found["kind"]}" in "{text}" is not a kind that is simulated')
    if found["state"] not in STATES and found["state"] != "gone":
        raise ValueError(f'"{found["state"]}" in "{text}" is not a state; it can be {", ".join(STATES)} or gone')
    place = (found["namespace"] or namespace) if kind.NAMESPACED else ""
    return Condition(text, Key(kind.KIND, place, found["name"]), found["state"])
