"""Text tables as kubectl's printer lays them out (WL-171)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_PADDING: Final = 3
_MINIMUM: Final = 6


class TableWriter:
    """Pads columns to their widest cell plus three spaces; widths only grow, so that a stream of rows stays aligned."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def write(self, rows: Sequence[Sequence[str]]) -> Iterator[str]:
        """Lay out some rows together; the last cell of a row is never padded."""
        cells = [[cut(cell) for cell in row] for row in rows]
        for row in cells:
            for column, cell in enumerate(row[:-1]):
                if column == len(self._widths):
                    self._widths.append(_MINIMUM)
                self._widths[column] = max(self._widths[column], len(cell) + _PADDING)
        for row in cells:
            padded = [cell.ljust(width) for cell, width in zip(row[:-1], self._widths, strict=False)]
            yield "".join([*padded, *row[-1:]])


def cut(cell: str) -> str:
    """A cell up to its first line break, with an ellipsis where something was cut (WL-171)."""
    ends = [end for end in map(cell.find, "\f\n\r") if end >= 0]
    if ends:
        cell = cell[: min(ends)] + "..."
    return cell.replace("\x1b", "^[")


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """One table, laid out at once."""
    return list(TableWriter().write(list(rows)))
