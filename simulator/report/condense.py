"""A long list of happenings, made short: many of a sort become one line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from simulator.explanation.words import listing, short
from simulator.report.happenings import ACTION, Happening
from simulator.report.times import clock
from simulator.report.wording import kind_count
from simulator.units import Micros

LONG = 40
"""A list of so many lines is still read."""
FEW = 3
"""So many happenings of a sort keep a line each in a long list."""


class Line(Struct, frozen=True):
    """A line of the timeline: one happening, or several of a sort between two moments."""

    time: Micros
    until: Micros
    text: str

    @property
    def when(self) -> str:
        """The moment, or the first and the last."""
        return clock(self.time) if self.until == self.time else f"{clock(self.time)}-{clock(self.until)}"


def condense(told: Sequence[Happening], most: int = LONG) -> list[Line]:
    """Lines for some happenings.

    Parameters
    ----------
    told : in order of time.
    most : with more than these, those of a sort (same kind of object, same thing) are taken together where they are
        more than `FEW` between two actions of the timeline; and if that does not do, the middle is left out.
    """
    if len(told) <= most:
        return [Line(each.time, each.time, each.text) for each in told]
    stretches = list(accumulate(each.what == ACTION for each in told))
    sorts: dict[tuple[int, str, str], list[Happening]] = {}
    for stretch, each in zip(stretches, told, strict=True):
        sorts.setdefault((stretch, each.subject.kind, each.what), []).append(each)
    lines: list[Line] = []
    for stretch, each in zip(stretches, told, strict=True):
        alike = sorts[stretch, each.subject.kind, each.what]
        if len(alike) <= FEW:
            lines.append(Line(each.time, each.time, each.text))
        elif each is alike[0]:
            names = dict.fromkeys(short(one.subject) for one in alike)
            times = f" ({len(alike)} times)" if len(names) < len(alike) else ""
            text = f"{each.text}{times}"
            if len(names) > 1:
                text = f"{kind_count(each.subject.kind, len(names))} {each.what}{times}: {listing(names)}"
            lines.append(Line(each.time, alike[-1].time, text))
    if len(lines) > most:
        half = most // 2
        left_out = Line(lines[half].time, lines[-half - 1].time, f"... {len(lines) - 2 * half} more lines")
        lines = [*lines[:half], left_out, *lines[-half:]]
    return lines
