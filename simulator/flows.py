"""The vocabulary of every controller: what a flow may ask for, and what it is told.

A *flow* is a generator over what its component sees: a sync, a scheduling cycle, a binding cycle, a kubectl command. It
yields intents (`Write`, `Get`, `Choose`, `Poll`, `Sleep`, `Tell`) and is sent the answers. It holds no clock, store or
random number, and reads its view before its first write; afterwards it asks with `Get`, `ListLive` or `Poll`. So view
and answers determine it, and the timed and the untimed driver run the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from simulator.api.meta import Key, Object
from simulator.units import Micros

# --- intents: API calls, each one step ------------------------------------------------------------------------------


class Create(Struct, frozen=True):
    """POST an object."""

    obj: Object
    rule: str = ""


class Update(Struct, frozen=True):
    """PUT spec and metadata, based on ``obj.metadata.resource_version``; a stale base is refused (VB-20)."""

    obj: Object
    rule: str = ""


class UpdateStatus(Struct, frozen=True):
    """PUT the status subresource, based on ``obj.metadata.resource_version``."""

    obj: Object
    rule: str = ""


class Patch(Struct, frozen=True):
    """PATCH: `edit(current, *args)` gives the new object; no base version, so it never conflicts.

    `edit` is a module-level pure function, so that an intent can be compared and printed. `subresource` is "" or
    "status". With `uid`, an object of the same name but another uid is NotFound.
    """

    key: Key
    edit: Callable[..., Object]
    args: tuple[Any, ...] = ()
    subresource: str = ""
    uid: str = ""
    rule: str = ""


class Delete(Struct, frozen=True):
    """DELETE, with optional preconditions, grace in seconds, and propagation Background, Foreground or Orphan."""

    key: Key
    uid: str = ""
    resource_version: int = 0
    grace: int | None = None
    propagation: str | None = None
    rule: str = ""


class Bind(Struct, frozen=True):
    """POST a pod's binding subresource (SC-103)."""

    key: Key
    uid: str
    node: str
    rule: str = ""


class Evict(Struct, frozen=True):
    """POST a pod's eviction subresource (WL-140 to WL-142)."""

    key: Key
    grace: int | None = None
    rule: str = ""


Write: TypeAlias = Create | Update | UpdateStatus | Patch | Delete | Bind | Evict


class Get(Struct, frozen=True):
    """A live read; answered with the object or None."""

    key: Key


class ListLive(Struct, frozen=True):
    """A live list; answered with a tuple of objects in order of creation."""

    kind: str
    namespace: str = ""


# --- intents: choices and time --------------------------------------------------------------------------------------


class Choose(Struct, frozen=True):
    """Which of several equal things; answered with one of `options`. Weights are the tie policy's, None means equal."""

    point: str
    about: Key
    options: tuple[Key, ...]
    weights: tuple[int, ...] | None = None


class Poll(Struct, frozen=True):
    """Ask the component's own `check(poll, view)` every so often until it does not answer None, or to the deadline.

    Answered with what `check` gave, or `TIMED_OUT`. The first check is after one period (VB-147).
    """

    check: str
    about: Any
    every: Micros
    deadline: Micros


class Sleep(Struct, frozen=True):
    """Let time pass: a latency by name (`point`), or a fixed `duration`. Answered with None."""

    point: str
    duration: Micros | None = None


class TimedOut(Struct, frozen=True):
    """The answer of a `Poll` that met its deadline."""


TIMED_OUT = TimedOut()

# --- intents: memory only, no step of their own ---------------------------------------------------------------------


class Enqueue(Struct, frozen=True):
    """Put a key into one of the component's queues, at once or `after` a delay; a key is there at most once."""

    queue: str
    key: Key
    after: Micros = 0


class Remember(Struct, frozen=True):
    """Change the component's own memory: `component.remember(memory, what, now)` is called."""

    what: Any


class Emit(Struct, frozen=True):
    """Record a Kubernetes event about an object."""

    about: Key
    type: str
    reason: str
    message: str
    source: str = ""


class Note(Struct, frozen=True):
    """An entry of the event log that no API object shows: a scheduling attempt, a mount, a read of data."""

    verb: str
    key: Key
    detail: Mapping[str, Any]
    rule: str = ""


class Spawn(Struct, frozen=True):
    """Start another flow of the same component beside this one: ``sync(queue, key, view)``, with ``view.argument``."""

    queue: str
    key: Key
    argument: Any = None


class Tell(Struct, frozen=True):
    """Change memory; answered with None. Costs no step and no time."""

    change: Enqueue | Remember | Emit | Note | Spawn


Told: TypeAlias = Enqueue | Remember | Emit | Note | Spawn
Intent: TypeAlias = Write | Get | ListLive | Choose | Poll | Sleep | Tell

# --- answers and outcomes -------------------------------------------------------------------------------------------


class Refused(Struct, frozen=True):
    """What the API server answers when it does not do it.

    Attributes
    ----------
    reason : Conflict, NotFound, AlreadyExists, Invalid, Forbidden, TooManyRequests, BadRequest, or Fault (injected).
    code : the HTTP status.
    message : Kubernetes' own text.
    """

    reason: str
    code: int
    message: str

    def __str__(self) -> str:
        return self.message


class Done(Struct, frozen=True):
    """A sync that succeeded: its back-off is reset; `requeue_after` asks to be looked at again."""

    requeue_after: Micros | None = None


class Retry(Struct, frozen=True):
    """A sync that failed: its key comes back after the queue's back-off."""

    error: str


DONE = Done()

Answer: TypeAlias = Any
Outcome: TypeAlias = Done | Retry
Flow: TypeAlias = Generator[Intent, Answer, Outcome]
