"""Reports on a terminal: as wide as it is, and in colour unless NO_COLOR is set; elsewhere plain and of one width."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, TextIO

WIDTH: Final = 100
"""Columns of text that is not for a terminal."""


class Code(str):
    """A line to be copied as it is: commands and manifests have no colour."""

    __slots__ = ()


def print_lines(lines_of: Callable[[int], Sequence[str]], stream: TextIO) -> None:
    """Write a report.

    Parameters
    ----------
    lines_of : gives its lines for a width in columns.
    """
    if not stream.isatty():
        stream.write("\n".join(lines_of(WIDTH)) + "\n")
        return
    lines = lines_of(max(60, _columns()))
    if os.environ.get("NO_COLOR"):
        stream.write("\n".join(lines) + "\n")
        return
    from simulator.report.colour import coloured

    for is_code, part in groupby(lines, key=lambda line: isinstance(line, Code)):
        some = list(part)
        stream.write("\n".join(some) + "\n" if is_code else coloured(some))


def _columns() -> int:
    try:
        return os.get_terminal_size().columns or WIDTH
    except OSError:
        return WIDTH
