"""YAML bytes to plain data, built straight from the parser's events.

PyYAML's own constructor costs twice as much as this, because it makes a node of every scalar and asks three tables
about it. Here a scalar's text is looked up in a cache, and the containers are filled in place. Nothing recurses, so
that depth is a number to compare, and the size that aliases would expand to is known before anybody walks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from simulator.manifests.parsed import (
    MAX_ALIASED,
    MAX_DEPTH,
    TOO_DEEP,
    TOO_LARGE,
    Malformed,
    Parsed,
    check_unicode,
    given_twice,
)
from simulator.manifests.scalars import key_text, resolve_plain, resolve_tagged


class _Plain(dict[str, Any]):
    """Unquoted values by their text, resolved once each."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = resolve_plain(text)
        return value


class _Keys(dict[str, Any]):
    """Unquoted keys by their text; one string object for all places where a key stands."""

    def __missing__(self, text: str) -> Any:
        key = self[text] = _MERGE if text == "<<" else key_text(resolve_plain(text))
        return key


_MERGE: Final = object()
_UNFINISHED: Final = object()


def event_source(data: bytes | str) -> Callable[[], Any]:
    """The function that gives the next event of the C parser, or of the Python parser where PyYAML came without C."""
    if yaml.__with_libyaml__:
        from yaml.cyaml import CParser  # type: ignore[attr-defined]

        return CParser(data).get_event
    return _PythonParser(data).get_event


class _PythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's parser without composer and constructor."""

    def __init__(self, data: bytes | str) -> None:
        yaml.reader.Reader.__init__(self, data)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


def read_yaml(data: bytes | str) -> Iterator[Parsed]:
    """Read the documents of a stream one after the other; empty ones are left out.

    Raises
    ------
    Malformed
        At the first thing that is not YAML, or that no manifest can hold.
    """
    plain, keys = _Plain(), _Keys()
    try:
        get = event_source(data)
        while True:
            event = get()
            kind = event.__class__
            if kind is StreamEndEvent:
                return
            if kind is StreamStartEvent or kind is DocumentStartEvent or kind is DocumentEndEvent:
                continue
            parsed = _document(event, get, plain, keys)
            if not yaml.__with_libyaml__:
                check_unicode(parsed.value, parsed.line)  # libyaml refuses such escapes itself
            if parsed.value is not None:
                yield parsed
    except yaml.YAMLError as error:
        raise malformed(error, data) from None


def _document(event: Any, get: Callable[[], Any], plain: _Plain, keys: _Keys) -> Parsed:
    """Build the document whose first event is given."""
    anchors: dict[str, Any] = {}
    aliased = 0
    stack: list[tuple[Any, Any, Any, Any]] = []
    container: Any = None  # the dict or list being filled; None outside of the root
    key: Any = None  # what the next value belongs to; None: the next event is a key (or the container is a list)
    items: Any = None  # the list being filled, None while it is a dict
    inherited: Any = None  # the keys that the dict has only from "<<", which may be given once more
    first_line = event.start_mark.line + 1
    item_lines: list[int] = []
    try:
        while True:
            kind = event.__class__
            if kind is ScalarEvent:
                if items is None and key is None and container is not None:
                    text = event.value
                    key = keys[text] if event.implicit[0] else _quoted_key(event)
                    if key in container:
                        _replace(inherited, key)
                    if event.anchor is not None:
                        anchors[event.anchor] = text
                    event = get()
                    continue
                if event.implicit[0]:
                    value = plain[event.value]
                elif event.tag is None:
                    value = event.value
                else:
                    value = resolve_tagged(event.tag, event.value)
                if event.anchor is not None:
                    anchors[event.anchor] = value
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if items is None and key is None and container is not None:
                    raise Malformed(event.start_mark.line + 1, "a key must be text, not a list or a mapping")
                depth = len(stack)
                if depth >= MAX_DEPTH:
                    raise Malformed(event.start_mark.line + 1, TOO_DEEP)
                if event.anchor is not None:
                    anchors[event.anchor] = _UNFINISHED
                stack.append((container, key, event.anchor, inherited))
                if kind is MappingStartEvent:
                    if items is not None and depth <= 2:
                        item_lines.append(event.start_mark.line + 1)
                    container, items = {}, None
                else:
                    container = items = []
                key = inherited = None
                event = get()
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = container
                container, key, anchor, inherited = stack.pop()
                items = container if container.__class__ is list else None
                if anchor is not None:
                    anchors[anchor] = value
            else:
                assert kind is AliasEvent
                value, size = _aliased(event, anchors)
                aliased += size
                if aliased > MAX_ALIASED:
                    raise Malformed(event.start_mark.line + 1, TOO_LARGE)
                if items is None and key is None and container is not None:
                    key = _alias_key(value)
                    if key in container:
                        _replace(inherited, key)
                    event = get()
                    continue
            if items is not None:
                items.append(value)
            elif key is None:
                return Parsed(first_line, value, item_lines)
            elif key is _MERGE:
                inherited = (inherited or set()) | _merge(container, value)
                key = None
            else:
                container[key] = value
                key = None
            event = get()
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(event.start_mark.line + 1, str(error)) from None


def _quoted_key(event: Any) -> str:
    """The key of a scalar that is quoted or carries a tag."""
    if event.tag is None:
        return event.value  # type: ignore[no-any-return]
    if event.tag == "tag:yaml.org,2002:merge":
        return _MERGE  # type: ignore[return-value]
    return key_text(resolve_tagged(event.tag, event.value))


def _alias_key(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError("a key must be text, not a list or a mapping")
    return key_text(value)


def _aliased(event: Any, anchors: dict[str, Any]) -> tuple[Any, int]:
    """What an alias stands for, and how many values that is."""
    if event.anchor not in anchors:
        raise ValueError(f"unknown anchor '{event.anchor}' referenced")
    value = anchors[event.anchor]
    if value is _UNFINISHED:
        raise ValueError(f"anchor '{event.anchor}' value contains itself")
    return value, _size(value)


def _size(value: Any) -> int:
    """How many values `value` holds, aliases written out; stops counting a little after the limit."""
    count, waiting = 0, [value]
    while waiting and count <= MAX_ALIASED:
        value = waiting.pop()
        count += 1
        if value.__class__ is dict:
            waiting.extend(value.values())
        elif value.__class__ is list:
            waiting.extend(value)
    return count


def _merge(container: dict[str, Any], value: Any) -> set[str]:
    """Put the content of ``<<: …`` into the mapping, and give its keys; what stands later wins, as for kubectl."""
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise ValueError("map merge requires map or sequence of maps as the value")
    for part in reversed(parts):
        container.update(part)
    return {key for part in parts for key in part}


def _replace(inherited: set[str] | None, key: str) -> None:
    """Let a key replace one of the same name that came from ``<<``, once."""
    if inherited is None or key not in inherited:
        raise ValueError(given_twice(key))
    inherited.discard(key)


def malformed(error: yaml.YAMLError, data: bytes | str) -> Malformed:
    """The parser's own complaint as one line of text and a line number."""
    content = data.encode(errors="replace") if isinstance(data, str) else data
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        problem, line = getattr(error, "problem", None) or getattr(error, "context", None), mark.line + 1
    else:
        position = getattr(error, "position", 0) or 0
        problem, line = getattr(error, "reason", None) or "unreadable", content.count(b"\n", 0, position) + 1
    here = content.split(b"\n")[line - 1 : line]
    tabs = here and here[0][: len(here[0]) - len(here[0].lstrip())].count(b"\t")
    advice = "Check indentation, quotes, colons and brackets there and on the line before"
    if tabs:
        advice = "Indent with spaces, not with tabs"
    return Malformed(line, f"not YAML: {str(problem).splitlines()[0]}. {advice}", is_syntax=True)
