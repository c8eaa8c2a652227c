"""``kubectl get -w`` on a log: the rows at a moment, then a row at each change that the API would send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.api.meta import Key, Object
from simulator.eventlog import CHANGES, Log, LogEntry
from simulator.report.kubectl import (
    KubectlError,
    Query,
    Wanted,
    header,
    parse_arguments,
    resource,
    row,
    select,
    typed_name,
)
from simulator.report.manifest import printed, to_json, to_yaml
from simulator.report.state import State
from simulator.report.tables import TableWriter
from simulator.report.times import clock
from simulator.units import Micros

Sent = tuple[Object | None, dict[str, Any] | None]
"""An object as it is sent: typed, and plain."""


def watch(log: Log, query: Query, start: Micros = 0, timestamps: bool = False, events: bool = False) -> Iterator[str]:
    """The lines of a watch from a moment to the end of the log.

    Parameters
    ----------
    start : the moment at which kubectl lists; changes after it are streamed.
    timestamps : put the simulated time before each line, which kubectl cannot.
    events : put ADDED, MODIFIED or DELETED before each row (``--output-watch-events``).

    Raises
    ------
    KubectlError
        In kubectl's words, for what it does not watch.
    """
    wanted = parse_arguments(query)
    if len(wanted) != 1:
        raise KubectlError("error: you may only specify a single resource type")
    return _stream(log, query, wanted[0], start, timestamps, events)


def _stream(log: Log, query: Query, wanted: Wanted, start: Micros, timestamps: bool, events: bool) -> Iterator[str]:
    state = State(log)
    entries = iter(log.entries)
    first: LogEntry | None = None
    for entry in entries:
        if entry.time > start:
            first = entry
            break
        state.apply(entry)
    state.time = start
    writer = _Writer(query, wanted.kind, timestamps, events)
    present = select(state, wanted, query.namespace)
    if wanted.name and not present:
        raise KubectlError(f'Error from server (NotFound): {resource(wanted.kind)} "{wanted.name}" not found')
    yield from writer.write(state, [(obj, state.plain(obj.key)) for obj in present], "ADDED")
    if first is None:
        return
    for entry in (first, *entries):
        mine = entry.verb in CHANGES and _is_meant(entry.key, wanted, query.namespace)
        before = (state.find(entry.key), state.plain(entry.key)) if mine else (None, None)
        key = state.apply(entry)
        if key is None or not _is_meant(key, wanted, query.namespace):
            continue
        after = (state.find(key), state.plain(key))
        again = (entry.detail or {}).get("count", 1) > 1 if entry.verb == "event" else before[0] is not None
        if after[0] is not None:
            yield from writer.write(state, [after], "MODIFIED" if again else "ADDED")
        else:
            yield from writer.write(state, [before], "DELETED")


def _is_meant(key: Key, wanted: Wanted, namespace: str | None) -> bool:
    if key.kind != wanted.kind or (wanted.name and key.name != wanted.name):
        return False
    return namespace is None or key.namespace in ("", namespace)


class _Writer:
    """Prints the objects of a stream: the header once, before the first row; column widths only grow."""

    def __init__(self, query: Query, kind: str, timestamps: bool, events: bool) -> None:
        self._query = query
        self._kind = kind
        self._timestamps = timestamps
        self._events = events
        self._table = TableWriter()
        self._begun = False

    def write(self, state: State, sent: Sequence[Sent], event: str) -> Iterator[str]:
        """Print some objects that are sent together."""
        present = [(obj, plain) for obj, plain in sent if obj is not None and plain is not None]
        if not present:
            return
        if self._query.output in ("yaml", "json", "name"):
            lines = self._documents(present, event, state.begin)
        else:
            lines = self._rows(state, [obj for obj, _ in present], event)
        for line in lines:
            yield f"{clock(state.time):<10}{line}" if self._timestamps else line
        self._begun = True

    def _rows(self, state: State, objects: Sequence[Object], event: str) -> Iterator[str]:
        rows = [row(obj, state.time, self._query) for obj in objects]
        if self._events:
            rows = [[event.ljust(len("MODIFIED")), *cells] for cells in rows]
        if not self._begun and self._query.headers:
            rows.insert(0, [*(["EVENT"] if self._events else []), *header(self._kind, self._query)])
        return self._table.write(rows)

    def _documents(
        self, objects: Sequence[tuple[Object, dict[str, Any]]], event: str, begin: Micros
    ) -> Iterator[str]:
        for number, (obj, plain) in enumerate(objects):
            if self._query.output == "name":
                yield typed_name(obj)
                continue
            body = printed(plain, begin)
            if self._events:
                body = {"object": body, "type": event}
            if self._query.output == "json":
                yield from to_json(body).split("\n")
                continue
            if self._begun or number:
                yield "---"
            yield from to_yaml(body).rstrip("\n").split("\n")
