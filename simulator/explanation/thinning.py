"""What clients do to their events before they send them: similar ones are combined, too many are dropped (WL-170).

The log has every event as it was emitted; this decides which of them ``kubectl get events`` would show. The scheduler
records its events in another way, as series (SC-129), and is left alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from simulator.api.meta import Key
from simulator.units import SECOND, Micros

COMBINED: Final = "(combined from similar events): "
_SIMILAR: Final = 10
_SIMILAR_FOR: Final[Micros] = 600 * SECOND
_BURST: Final = 25
_REFILL: Final[Micros] = 300 * SECOND
_SERIES: Final = frozenset({"FailedScheduling", "Scheduled", "Preempted", "WaitingForPodGroup"})


class Thinning:
    """The memory of all clients' event recorders; restarts of a client are not followed."""

    __slots__ = ("_budgets", "_groups")

    def __init__(self) -> None:
        self._groups: dict[Hashable, tuple[Micros, dict[str, None]]] = {}
        self._budgets: dict[Hashable, tuple[Micros, Micros]] = {}

    def combines(self, source: str, about: Key, uid: str, kind: str, reason: str, message: str, now: Micros) -> bool:
        """Whether so many events differ from this one only in their message that they become one."""
        if reason in _SERIES:
            return False
        group = (source, about, uid, kind, reason)
        last, messages = self._groups.get(group, (now, {}))
        if now - last > _SIMILAR_FOR:
            messages = {}
        self._groups[group] = (now, messages)
        if message in messages:
            return False
        if len(messages) + 1 >= _SIMILAR:
            return True
        messages[message] = None
        return False

    def drops(self, source: str, about: Key, uid: str, kind: str, reason: str, now: Micros) -> bool:
        """Whether a source has said more about an object than its budget allows: 25, then one in 300 s."""
        if reason in _SERIES:
            return False
        budget = (source, about, uid, kind)
        left, last = self._budgets.get(budget, (_BURST * _REFILL, now))
        left = min(_BURST * _REFILL, left + now - last)
        is_spent = left < _REFILL
        self._budgets[budget] = (left if is_spent else left - _REFILL, now)
        return is_spent
