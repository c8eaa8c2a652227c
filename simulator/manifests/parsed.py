"""What the readers of YAML and JSON have in common: their result, their limits, their complaint."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from simulator.manifests.suggest import shown

MAX_DEPTH: Final = 200
"""Lists and mappings may be nested this deep; definitions of custom resources, the deepest of all, need about 60."""

MAX_ALIASED: Final = 100_000
"""All aliases (``*name``) of one document may stand for this many values together: a YAML bomb needs millions."""

TOO_DEEP: Final = (
    f"lists and mappings are nested more than {MAX_DEPTH} deep, which no manifest needs. Check brackets and indentation"
)

TOO_LARGE: Final = f"the aliases of this document stand for more than {MAX_ALIASED} values. Write it without aliases"


class Malformed(ValueError):
    """Text that cannot be read: what is wrong, on which line (1 is the first), and whether it is the syntax."""

    def __init__(self, line: int, what: str, is_syntax: bool = False) -> None:
        super().__init__(what)
        self.line = line
        self.is_syntax = is_syntax


class Parsed(NamedTuple):
    """One document: the line where it begins, its data, and the lines of the mappings inside its top-level lists."""

    line: int
    value: Any
    item_lines: list[int]


def check_unicode(value: Any, line: int) -> None:
    """Refuse text with half of a surrogate pair, which an escape can write and nothing can print.

    Raises
    ------
    Malformed
        If there is one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise Malformed(line, f"not Unicode: \\u{half:04x} is half of a surrogate pair") from None


def given_twice(key: str) -> str:
    """The complaint about a key that stands twice in a mapping."""
    return f"key {shown(key)} is given twice in the same mapping. Keep one of them"
