"""The data files: what is known of each rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
DOCUMENTS = {"VB": ("Volume binding", 184), "WL": ("Workload lifecycle", 185), "SC": ("Scheduler", 131)}
IMPLEMENTED, OUT_OF_SCOPE, DEVIATION = STATES = ("implemented", "out of scope", "deviation")


@dataclass(frozen=True)
class Entry:
    """A rule, or one of the choices and examples that a document lists beside its rules."""

    document: str
    id: str
    title: str
    state: str | None = None
    reason: str = ""
    note: str = ""  # what part of an implemented rule is left out, or how it comes about
    points: tuple[str, ...] = ()  # for choices: the names of the points at which the chooser is asked


class TableError(Exception):
    """A data file does not have the form that is expected."""


def read_entries(path: Path, section: str) -> list[Entry]:
    """The entries of one section of a data file: `rules`, `choices` (of the real system) or `examples`."""
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := set(raw) - {"rules", "choices", "examples"}:
        raise TableError(f"{path.name}: unknown sections {sorted(unknown)}")
    entries = []
    for item in raw.get(section) or []:
        if unknown := set(item) - {"id", "title", "state", "reason", "note", "points"}:
            raise TableError(f"{path.name}: {item.get('id')}: unknown fields {sorted(unknown)}")
        points = tuple(item.get("points") or ())
        reason, note = item.get("reason") or "", item.get("note") or ""
        entries.append(Entry(path.stem, item["id"], item["title"], item.get("state"), reason, note, points))
    return entries


def read_rules() -> list[Entry]:
    """The rules of all documents, in order."""
    return [entry for document in DOCUMENTS for entry in read_entries(FOLDER / f"{document}.yaml", "rules")]


def read_others() -> list[Entry]:
    """Choices and examples of all documents."""
    return [
        entry
        for document in DOCUMENTS
        for section in ("choices", "examples")
        for entry in read_entries(FOLDER / f"{document}.yaml", section)
    ]
