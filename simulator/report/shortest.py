"""A run in a dozen lines: of its happenings those that lead to how it ends."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from simulator.eventlog import Log
from simulator.report.condense import Line, condense
from simulator.report.happenings import NO_RETURN, NOT_SCHEDULED, Happening, happenings
from simulator.report.told import SCHEDULED

MOST: Final = 15
"""Lines that one reads as a story."""
_LAST: Final = 6
"""So many of them, at most, are kept for what follows the point of no return."""


def story(log: Log, is_full: bool = False) -> list[Happening]:
    """The happenings that lead to how a run ends.

    Parameters
    ----------
    is_full : all of them; otherwise, as long as there are more than `MOST`, those that say least are left out.
    """
    told = happenings(log)
    for is_dull in () if is_full else _DULL:
        if len(told) <= MOST:
            break
        told = [each for place, each in enumerate(told) if not is_dull(told, place)]
    return told


def story_lines(log: Log, width: int, is_full: bool = False) -> list[str]:
    """A run's story, a line each; a moment is said once."""
    told = story(log, is_full)
    fatal = next((place for place, each in enumerate(told) if each.what == NO_RETURN), None)
    if is_full or fatal is None:
        lines = condense(told, len(told) if is_full else MOST)
    else:
        after = condense(told[fatal + 1 :], _LAST)
        lines = [*condense(told[:fatal], MOST - 1 - len(after)), *condense(told[fatal : fatal + 1]), *after]
    return list(_laid_out(lines, width))


def _laid_out(lines: Sequence[Line], width: int) -> Iterator[str]:
    column = max((len(line.when) for line in lines), default=0) + 2
    before = ""
    for line in lines:
        when = "" if line.when == before else line.when
        before = line.when
        yield from textwrap.wrap(line.text, width, initial_indent=when.ljust(column), break_on_hyphens=False,
                                 subsequent_indent=" " * (column + 2), break_long_words=False)


# --- what says least, the least telling first -----------------------------------------------------------------------


def _is_ready(told: Sequence[Happening], place: int) -> bool:
    """A pod that is scheduled becomes ready, as a rule; so does its set."""
    return told[place].what in ("ready", "complete") and told[place].subject.kind in ("Pod", "StatefulSet")


def _is_created(told: Sequence[Happening], place: int) -> bool:
    """A pod is made, and then something is told of it."""
    mine = told[place]
    return mine.what == "created" and mine.subject.kind == "Pod" and any(
        later.subject == mine.subject and later.what in (SCHEDULED, NOT_SCHEDULED) for later in told[place + 1 :]
    )


def _is_gone(told: Sequence[Happening], place: int) -> bool:
    """What is being deleted is not ready, and gone in the end."""
    return told[place].what in ("gone", "not ready") and told[place].subject.kind == "Pod"


def _is_passing(told: Sequence[Happening], place: int) -> bool:
    """A pod cannot be scheduled for a while."""
    mine = told[place]
    return mine.what == NOT_SCHEDULED and any(
        later.subject == mine.subject and later.what in (SCHEDULED, NOT_SCHEDULED) for later in told[place + 1 :]
    )


_DULL: Final[tuple[Callable[[Sequence[Happening], int], bool], ...]] = (_is_ready, _is_created, _is_gone, _is_passing)
