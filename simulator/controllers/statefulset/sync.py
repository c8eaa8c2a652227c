"""What all parts of a sync share: what it saw, how its steps are typed, and the small flows that they are made of."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.meta import Key
from simulator.controllers.statefulset.claims import Claims
from simulator.flows import Choose, Create, Emit, Intent, Refused, Remember, Sleep, Tell, Update, UpdateStatus
from simulator.units import MILLISECOND, Micros

T = TypeVar("T")
Steps: TypeAlias = Generator[Intent, Any, T]
"""A part of a flow: it yields intents, is sent answers, and returns a `T` to the flow that it is part of."""

SOURCE: Final = "statefulset-controller"
CONFLICT_WAITS: Final[tuple[Micros | None, ...]] = (10 * MILLISECOND, 50 * MILLISECOND, 250 * MILLISECOND, None)
"""Waits after a lost optimistic lock, 10 ms · 5ⁿ; after the last attempt nothing is waited for (client-go)."""


class Sync(Struct, frozen=True):
    """One sync: the set, its claims and the time, as they were when it began.

    Attributes
    ----------
    claims : by ordinal and name, the claims of every pod that the sync can get to.
    """

    sts: StatefulSet
    now: Micros
    claims: Mapping[int, Claims]


class Memory:
    """What the controller knows of its own writes.

    Attributes
    ----------
    unseen : resource version of a write that its caches do not show yet → the set that it was made for (WL-33).
    """

    __slots__ = ("unseen",)

    def __init__(self, unseen: dict[int, Key] | None = None) -> None:
        self.unseen: dict[int, Key] = unseen if unseen is not None else {}

    def copy(self) -> Memory:
        """An independent copy."""
        return Memory(dict(self.unseen))


class Wrote(Struct, frozen=True):
    """To remember: a write for a set got this resource version."""

    sts: Key
    version: int


class Saw(Struct, frozen=True):
    """To remember: the caches now show an own write."""

    version: int


class Failure(Struct, frozen=True):
    """Why a step failed, in Kubernetes' words; `conflict` if only an optimistic lock was lost."""

    message: str
    conflict: bool = False

    @staticmethod
    def of(refused: Refused, said: str = "") -> Failure:
        """The failure of a refused call; `said` is put before the API server's words."""
        return Failure(said + refused.message, refused.reason == "Conflict")


def aggregate(failures: Sequence[Failure]) -> Failure | None:
    """Several failures as one: ``[a, b]`` with duplicates removed (WL-169)."""
    if not failures:
        return None
    messages = list(dict.fromkeys(failure.message for failure in failures))
    if len(messages) == 1:
        return failures[0]
    return Failure(f"[{', '.join(messages)}]")


def join(*failures: Failure | None) -> Failure | None:
    """What went wrong at all."""
    return aggregate([failure for failure in failures if failure is not None])


def write(sts: Key, intent: Create | Update | UpdateStatus) -> Steps[Any]:
    """Make one write for a set, and remember its resource version until the caches show it (WL-33).

    Returns
    -------
    The object as stored, or `Refused`.
    """
    answer = yield intent
    if not isinstance(answer, Refused):
        version = answer.metadata.resource_version
        # A write that changes nothing gets no version of its own, and no cache will ever be told of it.
        if version != intent.obj.metadata.resource_version:
            yield Tell(Remember(Wrote(sts, version)))
    return answer


def wait(duration: Micros) -> Steps[None]:
    """Wait before a write that lost its optimistic lock is tried again."""
    yield Sleep("conflict-retry", duration)


def event(sts: Key, kind: str, reason: str, message: str) -> Tell:
    """A Kubernetes event about the set."""
    return Tell(Emit(sts, kind, reason, message, SOURCE))


def in_any_order(point: str, about: Key, keys: Sequence[Key]) -> Steps[list[Key]]:
    """Put keys into an order that Kubernetes leaves open: the next of the remaining ones is chosen each time."""
    remaining = list(keys)
    ordered = []
    while len(remaining) > 1:
        chosen = yield Choose(point, about, tuple(remaining))
        remaining.remove(chosen)
        ordered.append(chosen)
    return ordered + remaining
