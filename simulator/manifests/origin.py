"""Where an object was written: file and line, and the exact line of any of its fields when a message needs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import yaml
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from simulator.manifests.scalars import key_text, resolve_plain
from simulator.manifests.yaml_reader import event_source

FieldPath = tuple[str | int, ...]
"""The way to a field from the root of an object: names, and numbers of list elements."""

_STEP: Final = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|\.?([^.\[\]]+)")


class Source:
    """A text that manifests come from; it keeps no content, except of a stream that cannot be read again."""

    __slots__ = ("content", "name")

    def __init__(self, name: str, content: bytes | None = None) -> None:
        self.name = name
        self.content = content

    def read(self) -> bytes:
        """The content; empty if the file has gone."""
        if self.content is not None:
            return self.content
        try:
            with open(self.name, "rb") as file:
                return file.read()
        except (OSError, ValueError):
            return b""


class Origin:
    """The place of an object: a file and the line where the object begins.

    Parameters
    ----------
    file : as the user named it; "stdin" for standard input.
    line : 1 is the first.
    base : the way to the object from the root of its document, if it is part of a larger one.
    document_line : the line where that document begins, if it is not `line`.
    source : where to look for the lines of fields, if not in `file`.
    """

    __slots__ = ("base", "document_line", "file", "line", "source")

    def __init__(
        self, file: str, line: int, base: FieldPath = (), document_line: int = 0, source: Source | None = None
    ) -> None:
        self.file = file
        self.line = line
        self.base = base
        self.document_line = document_line or line
        self.source = source

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def __repr__(self) -> str:
        return f"Origin({self.file!r}, {self.line})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and (self.file, self.line) == (other.file, other.line)

    def __hash__(self) -> int:
        return hash((self.file, self.line))


def line_of(origin: Origin, path: FieldPath | str) -> int:
    """The line of a field of an object, or of the nearest part around it that was written.

    Parameters
    ----------
    origin : where the object stands.
    path : ``("spec", "containers", 0, "image")`` or ``"spec.containers[0].image"``.

    Returns
    -------
    The object's own line if the text is not there any more. Reads the text again: for messages, not for loops.
    """
    steps = _steps(path) if isinstance(path, str) else tuple(path)
    lines = (origin.source or Source(origin.file)).read().splitlines(keepends=True)
    if origin.base and origin.line != origin.document_line:
        # An item of a list mostly begins its own line: then the text before it need not be read.
        line, found = _locate(b"".join(lines[origin.line - 1 :]), steps)
        if found == len(steps):
            return origin.line + line
    whole = (*origin.base, *steps)
    line, found = _locate(b"".join(lines[origin.document_line - 1 :]), whole)
    return origin.document_line + line if found > len(origin.base) or not origin.base else origin.line


def _steps(path: str) -> FieldPath:
    return tuple(int(found[1]) if found[1] else found[2] or found[3] for found in _STEP.finditer(path))


def _locate(text: bytes, path: FieldPath) -> tuple[int, int]:
    """The line (0 is the first) of what `path` leads to in the first document, and how many steps of it were found."""
    line = found = 0
    try:
        get = event_source(text)
        event = get()
        while isinstance(event, (StreamStartEvent, DocumentStartEvent)):
            event = get()
        line = event.start_mark.line
        if path and isinstance(event, SequenceStartEvent) and not isinstance(path[0], int):
            event = get()  # the text begins in the middle of a list
        for step in path:
            place = _enter(event, step, get)
            if place is None:
                break
            line, event = place
            found += 1
    except (yaml.YAMLError, ValueError):
        pass
    return line, found


def _enter(event: Any, step: str | int, get: Callable[[], Any]) -> tuple[int, Any] | None:
    """Go a step into the container that `event` opens: the line of the field or element, its value's first event."""
    if isinstance(step, int):
        if not isinstance(event, SequenceStartEvent):
            return None
        event = get()
        for _ in range(step):
            if isinstance(event, SequenceEndEvent):
                return None
            _skip(event, get)
            event = get()
        return None if isinstance(event, SequenceEndEvent) else (event.start_mark.line, event)
    if not isinstance(event, MappingStartEvent):
        return None
    while True:
        key = get()
        if isinstance(key, MappingEndEvent):
            return None
        is_it = isinstance(key, ScalarEvent) and step == (
            key_text(resolve_plain(key.value)) if key.implicit[0] else key.value
        )
        _skip(key, get)
        value = get()
        if is_it:
            return key.start_mark.line, value
        _skip(value, get)


def _skip(event: Any, get: Callable[[], Any]) -> None:
    """Read past the value that `event` begins."""
    depth = 0
    while True:
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            depth -= 1
        if depth == 0 or isinstance(event, StreamEndEvent):
            return
        event = get()
