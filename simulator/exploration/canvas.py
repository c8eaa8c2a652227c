"""A sheet to draw on, measured in inches from its lower left corner; matplotlib, kept deterministic.

The same strokes give the same bytes: settings are matplotlib's defaults and not the user's, and files carry no date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

Point = tuple[float, float]

INK: Final = "#1a1a1a"
FONT: Final = "DejaVu Sans"
LINE: Final = 1.25
"""Distance of lines of text, in font sizes."""

_SETTINGS: Final = {"svg.hashsalt": "bindsim", "font.family": FONT, "path.simplify": False}
_METADATA: Final[dict[str, dict[str, Any]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def text_width(words: str, size: float, is_bold: bool = False) -> float:
    """The width of one line of text, in inches.

    Parameters
    ----------
    size : of the font, in points.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not words.strip():
        return 0.0
    font = FontProperties(family=FONT, weight="bold" if is_bold else "normal")
    return float(TextPath((0, 0), words.replace("$", "S"), size=size, prop=font).get_extents().x1) / 72


class Canvas:
    """A white sheet; what is drawn later covers what was drawn before."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width = width
        self.height = height
        with _settings():
            self._figure = Figure(figsize=(width, height), facecolor="white")
            FigureCanvasAgg(self._figure)
            self._axes = self._figure.add_axes((0, 0, 1, 1))
            self._axes.set(xlim=(0, width), ylim=(0, height))
            self._axes.axis("off")
        self._level = 0

    def curve(self, points: Sequence[Point], colour: str, width: float, head: float = 0) -> None:
        """Draw Bézier curves end to end: a beginning, then two control points and an end for each.

        Parameters
        ----------
        width : in points.
        head : the length of the arrow head, in inches.
        """
        from matplotlib.patches import PathPatch, Polygon
        from matplotlib.path import Path as Curve

        (*_, (control_x, control_y), (x, y)) = points
        away = ((x - control_x) ** 2 + (y - control_y) ** 2) ** 0.5
        if head and away:
            along = ((x - control_x) / away * head, (y - control_y) / away * head)
            back_x, back_y = x - along[0], y - along[1]
            side_x, side_y = -along[1] * 0.4, along[0] * 0.4
            self._add(Polygon(
                [(x, y), (back_x + side_x, back_y + side_y), (back_x - side_x, back_y - side_y)],
                closed=True, facecolor=colour, edgecolor="none",
            ))
            points = [*points[:-1], (x - along[0] * 0.8, y - along[1] * 0.8)]
        codes = [Curve.MOVETO, *[Curve.CURVE4] * (len(points) - 1)]
        self._add(PathPatch(Curve(points, codes), facecolor="none", edgecolor=colour, linewidth=width))

    def shape(self, shape: str, at: Point, radius: float, face: str, edge: str, width: float = 1) -> None:
        """Draw a circle, square or diamond."""
        from matplotlib.patches import Circle, Polygon, Rectangle

        x, y = at
        style: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "linewidth": width}
        if shape == "circle":
            self._add(Circle(at, radius, **style))
        elif shape == "square":
            half = radius * 0.9
            self._add(Rectangle((x - half, y - half), 2 * half, 2 * half, **style))
        else:
            tips = [(x + radius, y), (x, y + radius), (x - radius, y), (x, y - radius)]
            self._add(Polygon(tips, closed=True, **style))

    def text(
        self, words: str, at: Point, size: float, *, colour: str = INK, align: str = "center", is_bold: bool = False,
        has_ground: bool = False,
    ) -> None:
        """Write lines of text, centred vertically.

        Parameters
        ----------
        align : "left", "center" or "right" of the point.
        has_ground : whether what lies below is covered in white.
        """
        self._level += 1
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if has_ground else None
        with _settings():
            self._axes.text(
                *at, words, fontsize=size, color=colour, ha=align, va="center" if "\n" in words else "center_baseline",
                fontweight="bold" if is_bold else "normal", linespacing=LINE, parse_math=False, zorder=self._level,
                bbox=ground,
            )

    def _add(self, patch: Any) -> None:
        self._level += 1
        patch.set_zorder(self._level)
        self._axes.add_patch(patch)

    def save(self, path: Path) -> None:
        """Write a PNG, SVG or PDF file, as the suffix says."""
        kind = path.suffix.lower().removeprefix(".")
        with _settings():
            self._figure.savefig(path, format=kind, dpi=144, metadata=_METADATA[kind])


def _settings() -> Any:
    """Matplotlib's own settings and ours, whatever the user's are."""
    import matplotlib

    # the backend is left alone: it belongs to the user, and to set it loads it
    settings: dict[Any, Any] = {
        name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name
    }
    return matplotlib.rc_context(settings | _SETTINGS)
