"""API calls that go wrong: one fails and changes nothing, or it is carried out and its answer is lost (VB/ND-16).

A caller cannot tell the two apart: either way it is told that the request has timed out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.meta import Key
from simulator.flows import Choose, Refused

POINT: Final = "fault"
CLIENT: Final = "kubectl"
NONE, FAILED, LOST = (Key("Fault", "", name) for name in ("none", "failed", "lost"))
NO_ANSWER: Final = Refused("Fault", 500, "etcdserver: request timed out")
"""What the caller of a call that failed, or whose answer is lost, is told."""


class Calls(Struct, frozen=True):
    """Some API calls; a field that is empty stands for all, but for those of the client, which are named to be meant.

    Attributes
    ----------
    component : who calls, by the component's name.
    verb : create, update, update-status, patch, delete, bind or evict.
    kind, namespace, name : the object.
    times : how many of these calls go wrong, the first ones.
    fate : `FAILED` or `LOST`; `NONE` lets the chooser say call by call which of the three, as long as `times` lasts.
    """

    component: str = ""
    verb: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    times: int = 1
    fate: Key = FAILED

    def include(self, component: str, verb: str, key: Key) -> bool:
        """Whether a call is one of these."""
        if not self.component and component == CLIENT:
            return False
        mine = (self.component, self.verb, self.kind, self.namespace, self.name)
        return all(not wanted or wanted == found for wanted, found in zip(mine, (component, verb, *key), strict=True))


class Faults:
    """The calls that are still to go wrong; none by default."""

    def __init__(self) -> None:
        self.calls: list[Calls] = []

    def fate_of(self, component: str, verb: str, key: Key, ask: Callable[[Choose], Key]) -> Key:
        """What becomes of a call: `NONE` (it is carried out and answered), `FAILED` or `LOST`."""
        for place, calls in enumerate(self.calls):
            if calls.times and calls.include(component, verb, key):
                fate = calls.fate if calls.fate != NONE else ask(Choose(POINT, key, (NONE, FAILED, LOST)))
                if fate != NONE:
                    self.calls[place] = replace(calls, times=calls.times - 1)
                    return fate
        return NONE
