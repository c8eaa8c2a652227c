"""The event log: the one record of a run, from which every report is made.

A header, then entries. An entry that changes an object holds the change as a JSON merge patch (RFC 7386) of its plain
form, worked out only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from simulator.api.meta import Key, Object, encode, encode_json
from simulator.errors import ManifestError
from simulator.units import Micros

LOG_VERSION: Final = 1

CHANGES: Final = frozenset({"create", "update", "update-status", "patch", "delete", "remove", "bind", "evict", "load"})
"""Verbs of entries that change an object."""


class LogEntry(Struct, gc=False):
    """One thing that happened.

    Attributes
    ----------
    seq, time : position in the log; simulated microseconds.
    actor : the component, or "kubectl".
    verb : what was done: one of `CHANGES`, or `refused`, `event` (a Kubernetes event), `choose`, or a note's own verb.
    key : the object it was done to.
    version : the object's resource version afterwards, 0 if none.
    rule : the id of the rule that was applied, if the flow named one.
    detail : what else there is: the refusal's text, the event's reason and message, the choice and its options.
    old, new : the object before and after, in a run that is in memory; None in a log read from a file.
    """

    seq: int
    time: Micros
    actor: str
    verb: str
    key: Key
    version: int = 0
    rule: str = ""
    detail: Mapping[str, Any] | None = None
    old: Object | None = None
    new: Object | None = None
    _patch: Any = msgspec.UNSET

    @property
    def patch(self) -> Any:
        """The change as a JSON merge patch; None where the object went away, UNSET where nothing changed."""
        if self._patch is msgspec.UNSET and self.verb in CHANGES:
            before = encode(self.old) if self.old is not None else None
            after = encode(self.new) if self.new is not None else None
            self._patch = diff(before, after)
        return self._patch

    def plain(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        row: dict[str, Any] = {"seq": self.seq, "time": self.time, "actor": self.actor, "verb": self.verb,
                               "key": list(self.key)}
        if self.version:
            row["version"] = self.version
        if self.rule:
            row["rule"] = self.rule
        if self.detail is not None:
            row["detail"] = dict(self.detail)
        if self.patch is not msgspec.UNSET:
            row["patch"] = self.patch
        return row


class Log:
    """A run's record.

    Attributes
    ----------
    header : versions, seed, tie policy, inputs and their digests, and where each initial object was written.
    entries : in order of happening.
    """

    def __init__(self, header: dict[str, Any] | None = None) -> None:
        self.header: dict[str, Any] = header if header is not None else {}
        self.entries: list[LogEntry] = []

    def append(
        self,
        time: Micros,
        actor: str,
        verb: str,
        key: Key,
        version: int = 0,
        rule: str = "",
        detail: Mapping[str, Any] | None = None,
        old: Object | None = None,
        new: Object | None = None,
    ) -> None:
        """Add an entry (0.5 µs)."""
        self.entries.append(LogEntry(len(self.entries), time, actor, verb, key, version, rule, detail, old, new))

    def lines(self) -> Iterator[bytes]:
        """The log as JSON lines, header first."""
        yield encode_json({"bindsim-log": LOG_VERSION, **self.header}) + b"\n"
        for entry in self.entries:
            yield encode_json(entry.plain()) + b"\n"

    @property
    def end(self) -> Micros:
        """The time of the last entry."""
        return self.entries[-1].time if self.entries else 0


class NoLog(Log):
    """A log that keeps its last entry only, for runs of which only the end matters."""

    def append(self, *args: Any, **kwargs: Any) -> None:
        """Keep it in the place of the entry before."""
        self.entries.clear()
        super().append(*args, **kwargs)


def read_log(lines: Iterable[bytes], name: str) -> Log:
    """Read a log back.

    Parameters
    ----------
    name : what to call it in an error.

    Raises
    ------
    ManifestError
        If it is not a log of this version; names the line.
    """
    log = Log()
    for number, line in enumerate(lines, 1):
        try:
            row = msgspec.json.decode(line)
            if number == 1:
                if row.pop("bindsim-log") != LOG_VERSION:
                    raise ManifestError(
                        f"{name}:1: a log of another version. Run the scenario again with this bindsim."
                    )
                log.header = row
                continue
            log.entries.append(
                LogEntry(row["seq"], row["time"], row["actor"], row["verb"], Key(*row["key"]), row.get("version", 0),
                         row.get("rule", ""), row.get("detail"), None, None, row.get("patch", msgspec.UNSET))
            )
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as problem:
            raise ManifestError(
                f"{name}:{number}: not a line of a bindsim log ({problem}). "
                "Give the file that `bindsim run --log` wrote."
            ) from None
    if not log.header:
        raise ManifestError(f"{name}: an empty file. Give the file that `bindsim run --log` wrote.")
    return log


def diff(before: Any, after: Any) -> Any:
    """The JSON merge patch that turns `before` into `after`; lists are replaced whole."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: dict[str, Any] = {}
    for name, value in after.items():
        if name not in before:
            patch[name] = value
        elif before[name] != value:
            patch[name] = diff(before[name], value)
    for name in before:
        if name not in after:
            patch[name] = None
    return patch


def apply_patch(before: Any, patch: Any) -> Any:
    """The plain object after a JSON merge patch; `before` is left alone."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_patch(merged.get(name), value)
    return merged
