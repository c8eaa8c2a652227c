"""The nearest correct name, and the words in which a message shows what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

_SHOWN: Final = 60

Path = Sequence[str | int]


def nearest(written: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant: other case first, then plural, then the fewest differing letters.

    Examples
    --------
    >>> nearest("storageclassname", ["storageClassName", "volumeName"]), nearest("xyz", ["storageClassName"])
    ('storageClassName', None)
    """
    known = list(names)
    by_lower = {name.lower(): name for name in reversed(known)}
    lower = written.lower().replace("_", "").replace("-", "")
    for guess in (lower, lower.removesuffix("s"), lower.removesuffix("es"), lower + "s"):
        if guess in by_lower:
            return by_lower[guess]
    from difflib import get_close_matches

    close = get_close_matches(lower[:100], by_lower, n=1, cutoff=0.7)
    return by_lower[close[0]] if close else None


def shown(value: Any) -> str:
    """A value as a message shows it: on one line, and short.

    Examples
    --------
    >>> shown("10GB"), shown(True), shown({"a": 1}), shown(["x"] * 50)
    ('"10GB"', 'true', 'a mapping', 'a list')
    """
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    short = value[:_SHOWN] + "…" if isinstance(value, str) and len(value) > _SHOWN else value
    text = json.dumps(short, ensure_ascii=False, default=str)
    return text if text.isprintable() else json.dumps(short, default=str)


def path_text(path: Path) -> str:
    """A path as kubectl prints it.

    Examples
    --------
    >>> path_text(("spec", "containers", 0, "resources", "limits", "nvidia.com/gpu"))
    'spec.containers[0].resources.limits[nvidia.com/gpu]'
    """
    parts: list[str] = []
    for step in path:
        if step.__class__ is int:
            parts.append(f"[{step}]")
        elif not isinstance(step, str):
            parts.append(f"[{shown(step)}]")
        elif step.isidentifier() or (step.isascii() and step.replace("-", "").replace("_", "").isalnum()):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{shown(step)[1:-1]}]")
    return "".join(parts)
