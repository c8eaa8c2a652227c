"""A store with its API server, and calls that must succeed or must be refused."""

from __future__ import annotations

from typing import Any, TypeVar

from simulator.api.core import Namespace
from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, decode, evolve
from simulator.cluster.apiserver import ApiServer
from simulator.cluster.component import Change
from simulator.cluster.store import Store
from simulator.flows import Create, Delete, Patch, Refused, Update, UpdateStatus, Write

T = TypeVar("T", bound=Object)


class Server:
    """An API server at a moment; `changes` is what its watchers saw."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        self.api = ApiServer(self.store)
        self.now = 0

    def answer(self, write: Write) -> Any:
        return self.api.handle(write, self.now)

    def done(self, write: Write) -> Any:
        answer = self.answer(write)
        assert not isinstance(answer, Refused), answer.message
        return answer

    def refused(self, write: Write) -> Refused:
        answer = self.answer(write)
        assert isinstance(answer, Refused), answer
        return answer

    def create(self, obj: T) -> T:
        return self.done(Create(obj))  # type: ignore[no-any-return]

    def manifest(self, raw: dict[str, Any]) -> Any:
        return self.create(read(raw))

    def update(self, obj: T) -> Any:
        return self.done(Update(obj))

    def status(self, obj: T, **changes: Any) -> Any:
        return self.done(UpdateStatus(evolve(obj, status=evolve(obj.status, **changes))))  # type: ignore[attr-defined]

    def spec(self, obj: T, **changes: Any) -> Write:
        """A change of the spec, as an intent."""
        return Update(evolve(obj, spec=evolve(obj.spec, **changes)))  # type: ignore[attr-defined]

    def delete(self, obj: Object, **options: Any) -> Any:
        return self.done(Delete(obj.key, **options))

    def now_is(self, obj: T) -> T | None:
        return self.store.find(obj.key)  # type: ignore[return-value]

    def namespace(self, name: str) -> Namespace:
        return self.create(decode({"metadata": {"name": name}}, Namespace))

    def edit(self, key: Key, **changes: Any) -> Write:
        return Patch(key, _edited, (tuple(changes.items()),))


def _edited(current: Any, changes: tuple[tuple[str, Any], ...]) -> Any:
    return evolve(current, spec=evolve(current.spec, **dict(changes)))


def read(raw: dict[str, Any]) -> Any:
    """An object from a manifest; namespaced ones in the default namespace."""
    kind = KINDS[raw["kind"]]
    obj = decode(raw, kind)
    if kind.NAMESPACED and not obj.metadata.namespace:
        obj = evolve(obj, metadata=evolve(obj.metadata, namespace="default"))
    return obj
