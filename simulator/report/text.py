"""The report of a run as plain text: what happened when, where everything is, the verdict, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object
from simulator.eventlog import Log
from simulator.explanation.evidence import gather
from simulator.explanation.reasons import explain, leftovers, render
from simulator.report.condense import condense
from simulator.report.happenings import happenings
from simulator.report.kubectl import Query, Wanted, header, row, select
from simulator.report.state import State
from simulator.report.tables import table
from simulator.report.terminal import WIDTH, print_lines

ROWS: Final = 20
"""So many rows of a table are shown."""
NOTES: Final = {"assumed": "Assumed", "held": "Kept, but not made again", "notSimulated": "Not simulated",
                 "withoutEffect": "Without effect on the simulation", "warnings": "Warnings"}
"""Lists of the log's header, and what they are called."""
_TABLES: Final = (("sts", "StatefulSet", ""), ("pods", "Pod", "wide"), ("pvc", "PersistentVolumeClaim", ""),
                  ("pv", "PersistentVolume", ""))
"""What ``kubectl get`` is asked, the kind, and the output."""


def print_run(log: Log, stream: TextIO, is_full: bool = False) -> None:
    """Write the report of a run; with colour on a terminal, unless NO_COLOR is set.

    Parameters
    ----------
    is_full : every line of the timeline, however long it is.
    """
    print_lines(lambda width: run_lines(log, width, is_full), stream)


def run_lines(log: Log, width: int = WIDTH, is_full: bool = False) -> list[str]:
    """The report of a run."""
    evidence = gather(log)
    found = explain(evidence)
    sections = [
        _title(log.header),
        ["Timeline", *_indented(timeline_lines(log, width - 2, is_full))],
        *([title, *_indented(rows)] for title, rows in _tables(evidence.state)),
        _verdict(log, width),
        ["Why", *_indented(render(found, width - 2))] if found else [],
        ["Left over", *_indented(render(leftovers(evidence), width - 2))] if leftovers(evidence) else [],
        *_notes(log.header, width),
    ]
    lines: list[str] = []
    for section in sections:
        if section:
            lines.extend(["", *section] if lines else section)
    return lines


def timeline_lines(log: Log, width: int = WIDTH, is_full: bool = False) -> list[str]:
    """What happened when, one line each; long runs are summed up, unless all of it is wanted."""
    told = happenings(log)
    lines = condense(told, most=len(told)) if is_full else condense(told)
    column = max((len(line.when) for line in lines), default=0) + 2
    wrapped: list[str] = []
    for line in lines:
        wrapped.extend(textwrap.wrap(line.text, width, initial_indent=line.when.ljust(column), break_on_hyphens=False,
                                     subsequent_indent=" " * (column + 2), break_long_words=False))
    return wrapped


def reason_lines(log: Log, width: int = WIDTH) -> list[str]:
    """Why everything that is short of its goal is so, causes before effects."""
    return render(explain(gather(log)), width)


def _title(header: Mapping[str, Any]) -> list[str]:
    name, title = header.get("scenario", ""), header.get("title", "")
    lines = [": ".join(part for part in (name, title) if part)]
    given = [f"{key}={value}" for key, value in header.get("parameters", {}).items()]
    if "seed" in header:
        given.extend([f"seed {header['seed']}", f"ties {header.get('ties', '')}"])
    lines.append(", ".join(given))
    return [line for line in lines if line]


def _tables(state: State) -> Iterator[tuple[str, list[str]]]:
    """Where everything is, as kubectl shows it."""
    for name, kind, output in _TABLES:
        everything = select(state, Wanted(kind), None)
        if not everything:
            continue
        elsewhere = any(obj.namespace not in ("", "default") for obj in everything)
        query = Query((name,), None if elsewhere else "default", output)
        command = f"kubectl get {name}{' -A' if elsewhere else ''}{' -o wide' if output else ''}"
        yield command, _rows(everything, kind, query, state)


def _rows(objects: Sequence[Object], kind: str, query: Query, state: State) -> list[str]:
    """A table; of a long one the rows that tell more than that all is well."""
    shown = list(objects)
    if len(objects) > ROWS + 1:
        telling = {obj.key for obj in sorted(objects, key=_is_well)[:ROWS]}
        shown = [obj for obj in objects if obj.key in telling]
    lines = table([header(kind, query), *(row(obj, state.time, query) for obj in shown)])
    return [*lines, f"... and {len(objects) - ROWS} more"] if len(shown) < len(objects) else lines


def _is_well(obj: Object) -> bool:
    """Whether an object is in the state that most others are in: nothing is to be learned from its row."""
    if isinstance(obj, Pod):
        return obj.is_ready
    if isinstance(obj, PersistentVolumeClaim):
        return obj.status.phase == "Bound" and not obj.metadata.is_terminating
    return isinstance(obj, PersistentVolume) and obj.status.phase == "Available"


def _verdict(log: Log, width: int) -> list[str]:
    detail = verdict_of(log)
    if detail is None:
        return ["Verdict: none, for the log ends before the run does"]
    said = f"Verdict: {detail['verdict']}: {detail['why']}"
    lines = textwrap.wrap(said, width, subsequent_indent="  ", break_on_hyphens=False)
    failures = [f"Timeline: {failure}" for failure in detail.get("failures", ())]
    return lines + [line for failure in failures for line in textwrap.wrap(failure, width, subsequent_indent="  ")]


def verdict_of(log: Log) -> Mapping[str, Any] | None:
    """What the run's last entry says, if there is one."""
    for entry in reversed(log.entries):
        if entry.verb == "verdict":
            return entry.detail
    return None


def _notes(head: Mapping[str, Any], width: int) -> Iterator[list[str]]:
    for key, title in NOTES.items():
        lines = head.get(key) or ()
        if lines:
            wrapped = [part for line in lines for part in textwrap.wrap(line, width - 2, subsequent_indent="  ",
                                                                        break_on_hyphens=False)]
            yield [title, *_indented(wrapped)]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
