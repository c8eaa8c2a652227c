"""The table as text and as markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.rules.audit import Audit, Row, count
from tests.rules.scan import Place
from tests.rules.table import DEVIATION, DOCUMENTS, IMPLEMENTED, OUT_OF_SCOPE


def summary(name: str, rows: list[Row]) -> str:
    """One line for a document."""
    implemented, outside, deviating = (count(rows, state) for state in (IMPLEMENTED, OUT_OF_SCOPE, DEVIATION))
    stateless = len(rows) - implemented - outside - deviating
    line = f"{name}: {implemented} of {len(rows)} rules implemented ({implemented / len(rows):.1%})"
    line += f", {outside} out of scope, {deviating} deviations"
    return line + (f", {stateless} without a state" if stateless else "")


def summaries(audit: Audit) -> Iterator[str]:
    """One line a document, and one for all."""
    for document, (name, _) in DOCUMENTS.items():
        yield summary(name, audit.rows_of(document))
    yield summary("All", list(audit.rows))


def state(row: Row) -> str:
    """The state with its reason or note."""
    entry = row.entry
    comment = entry.reason or entry.note
    return (entry.state or "NO STATE") + (f": {comment}" if comment else "")


def text(audit: Audit) -> str:
    """The whole table for a terminal: a line a rule, its places below it."""
    lines = []
    for row in (*audit.rows, *audit.others):
        entry = row.entry
        lines.append(f"{entry.id:<9} {entry.title}  [{state(row)}]")
        lines += [f"          code  {place}" for place in row.code]
        lines += [f"          point {point}" for point in entry.points]
        lines += [f"          test  {place}" for place in row.tests]
    return "\n".join([*lines, "", *summaries(audit)])


def files(places: Sequence[Place], prefix: str) -> str:
    """The files of some places, each once, without line numbers: the page must not change with every edit."""
    paths = list(dict.fromkeys(place.path.removeprefix(prefix) for place in places))
    return ", ".join(f"`{path}`" for path in paths)


def markdown_rows(rows: Sequence[Row]) -> Iterator[str]:
    """The rows of a table."""
    yield "| Rule | About | Code | Tests | State |"
    yield "|---|---|---|---|---|"
    for row in rows:
        entry = row.entry
        code = ", ".join([files(row.code, "simulator/"), *(f'point "{point}"' for point in entry.points)]).strip(", ")
        cells = (entry.id, entry.title, code, files(row.tests, "tests/"), state(row))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def markdown(audit: Audit) -> str:
    """The page of the rules."""
    lines = [
        "# The rules of Kubernetes 1.36, one by one",
        "",
        "Written by `python -m tests.rules --markdown`; do not edit. Code is below `simulator/`, tests below `tests/`.",
        "",
        *(f"- {line}" for line in summaries(audit)),
    ]
    for document, (name, _) in DOCUMENTS.items():
        lines += ["", f"## {name} ({document})", "", *markdown_rows(audit.rows_of(document))]
        others = [row for row in audit.others if row.entry.document == document]
        if others:
            lines += ["", f"### {name}: choices and examples", "", *markdown_rows(others)]
    return "\n".join(lines) + "\n"
