"""A picture of the graph of states, for a slide: from left to right, the ends at the right, what is lost in orange.

Colours are those of Okabe and Ito, which the colour-blind tell apart; shapes and the width of lines say the same again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from simulator.exploration.canvas import INK, LINE, Canvas, Point, text_width
from simulator.exploration.chances import end_chances
from simulator.exploration.components import ends
from simulator.exploration.folding import Folded, Stretch, fold
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.labels import Labels, box_around, overlap
from simulator.exploration.layout import Layout, lay_out
from simulator.exploration.paths import FATES, Fate, fates

if TYPE_CHECKING:
    from pathlib import Path

MOST_STATES: Final = 300
"""States that a picture shows; with more of them there is none."""

MOST_LABELS, MOST_FATAL, MOST_CHANCES = 30, 12, 100
"""Lines up to which each says what happens; beyond, only points of no return do, up to so many; up to so many lines say
their chance at least."""

MOST_CAPTIONS: Final = 16
"""Ends up to which each has its chance beside it."""

GREATEST_WIDTH, LEAST_WIDTH, GREATEST_HEIGHT, LEAST_HEIGHT = 13.33, 7.0, 7.5, 2.5
"""Inches; the greatest is a slide."""

FAINT: Final = "#6b6b6b"
FATAL: Final = "#d55e00"
SMALL: Final = 7.0


class Look(Struct, frozen=True):
    """How the states of one fate are drawn, and the lines that lead to them."""

    words: str
    shape: str
    face: str
    edge: str
    line: str
    text: str = INK


LOOKS: Final[dict[Fate, Look]] = {
    "converged": Look("converged", "circle", "#0072b2", "#0072b2", "#5b9fc9", "#ffffff"),
    "stuck": Look("stuck", "square", "#d55e00", "#d55e00", "#e39a66", "#ffffff"),
    "sure": Look("certain to converge", "circle", "#cfe6f5", "#0072b2", "#5b9fc9"),
    "doomed": Look("certain to get stuck", "square", "#fbe0cc", "#d55e00", "#e39a66"),
    "undecided": Look("can go either way", "circle", "#ffffff", "#4d4d4d", "#8c8c8c"),
    "open": Look("not explored further", "diamond", "#ffffff", "#8c8c8c", "#8c8c8c"),
}


class TooLarge(Struct, frozen=True):
    """The graph has more states than a picture can show.

    Attributes
    ----------
    states : states in all.
    shown : those that a picture would have to show.
    """

    states: int
    shown: int
    most: int

    def __str__(self) -> str:
        """What is in the way, and what to do instead."""
        rest = f", {self.shown:,} of them where runs branch or meet" if self.shown != self.states else ""
        return (
            f"The graph has {self.states:,} states{rest}; a picture shows up to {self.most:,}. Write it as .graphml or "
            ".dot instead, for Gephi, yEd, Cytoscape, networkx or Graphviz."
        )


class _Line(Struct, frozen=True):
    """All stretches from one state to another, drawn as one."""

    stretches: tuple[Stretch, ...]
    route: tuple[Point, ...]
    """From the border of one state to that of the other, and the curves between, in inches."""


def draw(
    graph: StateGraph, path: Path, good: Collection[int], *, title: str = "",
    captions: Mapping[int, str] | None = None, is_folded: bool = True, most_states: int = MOST_STATES,
) -> TooLarge | None:
    """Draw the graph into a PNG, SVG or PDF file, as its suffix says; the same graph gives the same bytes.

    Parameters
    ----------
    good : states in which the goal is reached.
    captions : what to write beside an end, by any of its states. If not given, its chance, where there are chances.
    is_folded : whether a stretch on which nothing branches is drawn as one line.

    Returns
    -------
    What is in the way, the file then not being written; None if all is well.
    """
    folded = fold(graph, good, is_folded)
    if len(folded.states) > most_states:
        return TooLarge(len(graph.states), len(folded.states), most_states)
    _Picture(graph, good, folded, _chances(graph) if captions is None else captions).paint(title).save(path)
    return None


def _chances(graph: StateGraph) -> dict[int, str]:
    found = ends(graph)
    if len(found) > MOST_CAPTIONS or not graph.is_chain:
        return {}
    chances = end_chances(graph).ends
    return {end[0]: _in_words(chance) for end, chance in zip(found, chances, strict=True) if chance}


def _in_words(chance: Fraction) -> str:
    decimal = f"{float(chance) * 100:.1f} %"
    if chance == 1:
        return "always"
    return f"{chance} = {decimal}" if chance.denominator < 10_000 else decimal


class _Picture:
    """Where everything goes, in inches; then it is painted from the back to the front."""

    def __init__(
        self, graph: StateGraph, good: Collection[int], folded: Folded, captions: Mapping[int, str]
    ) -> None:
        self.graph = graph
        self.states = folded.states
        self.fates = fates(graph, good)
        owner = {state: end[0] for end in ends(graph) for state in end}
        self.captions = {owner[state]: text for state, text in captions.items() if state in owner}
        at = {state: number for number, state in enumerate(folded.states)}
        lines: dict[tuple[int, int], list[Stretch]] = {}
        for stretch in folded.stretches:
            lines.setdefault((at[stretch.source], at[stretch.target]), []).append(stretch)
        between = [pair for pair in lines if pair[0] != pair[1]]
        at_rest = [at[end[0]] for end in ends(graph) if len(end) == 1]
        layout = lay_out(len(folded.states), between, at_rest)
        self.is_labelled = len(lines) <= MOST_LABELS
        self._measure(layout)
        self.points = {state: self._inches(layout.points[number]) for state, number in at.items()}
        self.lines = [
            _Line(tuple(lines[pair]), self._route(route)) for pair, route in zip(between, layout.routes, strict=True)
        ]
        self.loops = [
            _Line(tuple(stretches), self._loop(self.points[stretches[0].source]))
            for (source, target), stretches in lines.items() if source == target
        ]

    def _measure(self, layout: Layout) -> None:
        """Fit the layout to the sheet."""
        self.left, self.bottom, self.top = 0.75, 0.85, 0.95
        self.right = 0.45 + max((text_width(text, 10) for text in self.captions.values()), default=0)
        steps = max(1, layout.layers - 1)
        room = GREATEST_WIDTH - self.left - self.right
        self.unit_x = min(room / steps, 2.6 if self.is_labelled else 1.3)
        high = GREATEST_HEIGHT - self.bottom - self.top
        self.unit_y = min(high / max(1.0, layout.height), 0.95 if self.is_labelled else 0.7)
        self.radius = min(0.19, 0.38 * self.unit_y, 0.3 * self.unit_x)
        self.head = min(0.12, 0.8 * self.radius, 0.25 * (self.unit_x - 2 * self.radius))
        wide = self.left + self.right + (layout.layers - 1) * self.unit_x
        tall = self.bottom + self.top + layout.height * self.unit_y
        self.legend = [fate for fate in FATES if fate in {self.fates[state] for state in self.states}]
        legend = sum(text_width(LOOKS[fate].words, 9) + 0.45 for fate in self.legend) + 2.2
        self.width, self.height = max(LEAST_WIDTH, legend, wide), max(LEAST_HEIGHT, tall)
        self.left += (self.width - wide) / 2
        self.bottom += (self.height - tall) / 2

    def _inches(self, point: Point) -> Point:
        return self.left + point[0] * self.unit_x, self.bottom + point[1] * self.unit_y

    def _route(self, route: Sequence[Point]) -> tuple[Point, ...]:
        """Curves through the bends, level there. One to the layer before sags, to keep off one that leads on."""
        points = [self._inches(point) for point in route]
        onwards = 1 if points[-1][0] > points[0][0] else -1
        away = onwards * (self.radius + 0.01)
        points[0] = (points[0][0] + away, points[0][1])
        points[-1] = (points[-1][0] - away, points[-1][1])
        sag = -0.45 * self.unit_y if onwards < 0 and len(points) == 2 else 0.0
        curves = [points[0]]
        for (x, y), (next_x, next_y) in pairwise(points):
            half = (next_x - x) / 2
            curves += [(x + half, y + sag), (next_x - half, next_y + sag), (next_x, next_y)]
        return tuple(curves)

    def _loop(self, at: Point) -> tuple[Point, ...]:
        (x, y), r = at, self.radius
        high, higher = y + 0.9 * r, y + 2.6 * r
        return (x - 0.5 * r, high), (x - 1.2 * r, higher), (x + 1.2 * r, higher), (x + 0.5 * r, high)

    def paint(self, title: str) -> Canvas:
        """Lines, then states, then words."""
        canvas = Canvas(self.width, self.height)
        self._paint_lines(canvas)
        self._paint_states(canvas)
        self._paint_words(canvas)
        self._paint_frame(canvas, title)
        return canvas

    def _paint_lines(self, canvas: Canvas) -> None:
        lines = [*self.lines, *self.loops]
        for line in sorted(lines, key=_is_fatal):  # those that matter cover the others
            if _is_fatal(line):
                canvas.curve(line.route, FATAL, 2.6, self.head * 1.5)
            else:
                canvas.curve(line.route, LOOKS[self.fates[line.stretches[0].target]].line, 1.0, self.head)

    def _paint_states(self, canvas: Canvas) -> None:
        r = self.radius
        has_numbers = r >= 0.13
        for state in self.states:
            look, at = LOOKS[self.fates[state]], self.points[state]
            edge, width = (INK, 1.8) if state == START else (look.edge, 1)
            if state == START:
                tail = (at[0] - r - 0.32, at[1])
                canvas.curve([tail, tail, tail, (at[0] - r - 0.01, at[1])], INK, 1.8, 0.12)
            canvas.shape(look.shape, at, r, look.face, edge, width)
            if has_numbers:
                canvas.text(str(state), at, SMALL, colour=look.text)

    def _paint_words(self, canvas: Canvas) -> None:
        """Beside the ends, then on the lines what happens: where there is room, those that matter first."""
        taken = [box_around(at, 2 * self.radius, 2 * self.radius) for at in self.points.values()]
        taken += [box_around(line.route[-1], 3 * self.head, self.head) for line in self.lines]
        for state, words in self.captions.items():
            x, y = self.points[state]
            width = text_width(words, 10)
            box = box_around((x + self.radius + 0.1 + width / 2, y), width, 0.16)
            if not any(overlap(box, other) for other in taken):
                taken.append(box)
                canvas.text(words, (box[0], y), 10, align="left", has_ground=True)
        labels = Labels([line.route for line in self.lines], taken)
        fatal = sum(map(_is_fatal, self.lines))
        for number, line in sorted(enumerate(self.lines), key=lambda numbered: not _is_fatal(numbered[1])):
            is_told = self.is_labelled or (_is_fatal(line) and fatal <= MOST_FATAL)
            wanted = [self._label(line)] if is_told else []
            if len(self.lines) <= MOST_CHANCES:
                wanted.append(_chance_of(line))
            for words in filter(None, wanted):  # the chance alone where there is no room for more
                rows = words.split("\n")
                width = max(text_width(row, SMALL) for row in rows) + 0.05
                at = labels.place(number, width, len(rows) * SMALL * LINE / 72 + 0.02)
                if at is not None:
                    canvas.text(words, at, SMALL, colour=FATAL if _is_fatal(line) else INK, has_ground=True)
                    break

    def _label(self, line: _Line) -> str:
        first = next((stretch for stretch in line.stretches if stretch.fatal is not None), line.stretches[0])
        words = str(self.graph.label(first.edges[0] if first.fatal is None else first.fatal))
        extra = [_chance_of(line)]
        if not extra[0] and len(line.stretches) > 1:
            extra.append(f"or {len(line.stretches) - 1} more")
        if len(first.edges) > 1:
            extra.append(f"{len(first.edges)} steps")
        letters = max(17, int((self.unit_x - 2 * self.radius) * 0.8 / 0.058))
        rows = textwrap.wrap(words, letters, max_lines=3, placeholder=" …", break_on_hyphens=False)
        return "\n".join([*rows, ", ".join(filter(None, extra))]).strip("\n")

    def _paint_frame(self, canvas: Canvas, title: str) -> None:
        """Title, legend, and how much of the graph is shown."""
        if title:
            size = min(14.0, 14 * (self.width - 0.7) / text_width(title, 14, is_bold=True))
            canvas.text(title, (0.35, self.height - 0.35), size, align="left", is_bold=True)
        if len(self.states) < len(self.graph.states):
            note = f"{len(self.states):,} of {len(self.graph.states):,} states: a stretch without a branch is one line"
            canvas.text(note, (0.35, self.height - (0.62 if title else 0.35)), 8, align="left", colour=FAINT)
        x, y = 0.45, 0.3
        for fate in self.legend:
            look = LOOKS[fate]
            canvas.shape(look.shape, (x, y), 0.08, look.face, look.edge)
            canvas.text(look.words, (x + 0.15, y), 9, align="left")
            x += 0.45 + text_width(look.words, 9)
        if any(map(_is_fatal, self.lines)):
            canvas.curve([(x - 0.06, y), (x - 0.06, y), (x - 0.06, y), (x + 0.3, y)], FATAL, 2.6, 0.14)
            canvas.text("point of no return", (x + 0.38, y), 9, align="left")


def _is_fatal(line: _Line) -> bool:
    return any(stretch.fatal is not None for stretch in line.stretches)


def _chance_of(line: _Line) -> str:
    """The chance of a line all of which belongs to one choice, if anything is up to chance there."""
    chances = [stretch.chance for stretch in line.stretches if stretch.chance is not None]
    if len(chances) < len(line.stretches) or len({stretch.group for stretch in line.stretches}) > 1:
        return ""
    total = sum(chances, Fraction(0))
    return "" if total == 1 else str(total) if total.denominator < 10_000 else f"{float(total):.4f}"
