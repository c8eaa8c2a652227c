"""The answer of ``bindsim explore``: the verdict over all runs, every end, the shortest run into a stuck one."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, TextIO

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolume
from simulator.eventlog import Log
from simulator.explanation.evidence import gather
from simulator.explanation.reasons import explain, render
from simulator.explanation.verdict import CONVERGED, NO_VERDICT, STUCK
from simulator.explanation.words import count, listing
from simulator.exploration.branching import MOST_ORDERED
from simulator.exploration.chances import Bounds
from simulator.exploration.ends import End
from simulator.exploration.explore import Exploration
from simulator.report.happenings import NO_RETURN
from simulator.report.shortest import story_lines
from simulator.report.terminal import WIDTH, print_lines
from simulator.report.told import volume_place
from simulator.scenario.header import header_of

ROWS: Final = 20
"""So many ends are shown."""
STORIES: Final = 3
"""So many stuck ends, each stuck in another way, have their story told."""
_NAMES: Final = 5
"""So many pods of an end are named."""
_LONGEST, _LONG, _LONGEST_LINE = 16, 40, 400
"""Characters of a fraction that is written out in the table; in a sentence; by itself."""
NOTES: Final = {"assumed": "Assumed", "notSimulated": "Not simulated", "warnings": "Warnings"}


class Stuck(Struct, frozen=True):
    """A stuck end, numbered, with the shortest run into it, and the ends in which the same sort of things waits."""

    number: int
    end: End
    log: Log
    alike: tuple[int, ...]


def print_explore(
    found: Exploration, stream: TextIO, command: str = "SCENARIO", log: str = "", is_full: bool = False
) -> None:
    """Write the report; with colour on a terminal, unless NO_COLOR is set.

    Parameters
    ----------
    command : the arguments that other commands need for the same scenario.
    log : the file that has the log of the shortest stuck run, if it was written.
    is_full : every end, each with its story.
    """
    print_lines(lambda width: explore_lines(found, width, command, log, is_full), stream)


def explore_lines(
    found: Exploration, width: int = WIDTH, command: str = "SCENARIO", log: str = "", is_full: bool = False
) -> list[str]:
    """The report as lines; see `print_explore`."""
    sections: list[list[str]] = [
        _title(found, width), _verdict(found, width),
        *([_heading(found), *_table(found, width, is_full)] for _ in [0] if found.ends),
    ]
    for stuck in stories(found, is_full):
        sections += _story(found, stuck, width, is_full)
    sections += [list(_left_out(found, width)), *_notes(found, width), list(_hints(found, command, log))]
    lines: list[str] = []
    for section in sections:
        if section:
            lines.extend(["", *section] if lines else section)
    return lines


def stories(found: Exploration, is_full: bool = False) -> list[Stuck]:
    """Of the stuck ends one of each sort, the likeliest first, with the shortest run into it.

    Parameters
    ----------
    is_full : every one, however much they are alike.
    """
    sorts: dict[object, list[tuple[int, End]]] = {}
    for number, end in enumerate(found.ends, 1):
        if end.verdict == STUCK:
            sorts.setdefault(number if is_full else _shape(end), []).append((number, end))
    shown = list(sorts.values()) if is_full else list(sorts.values())[:STORIES]
    return [Stuck(*alike[0], found.trace(alike[0][1]), tuple(number for number, _ in alike[1:])) for alike in shown]


def _shape(end: End) -> object:
    """What waits, without names and numbers; pods alone if any do, since claims and sets wait with them."""
    kinds = sorted({(key.partition("/")[0], "".join(c for c in why if not c.isdigit()))
                    for key, why in end.waiting.items()})
    return end.is_livelock, bool(end.failures), tuple([kind for kind in kinds if kind[0] == "Pod"] or kinds)


# --- what was explored, and what came of it -------------------------------------------------------------------------


def _title(found: Exploration, width: int) -> list[str]:
    scenario = found.scenario
    named = ": ".join(part for part in (scenario.name, scenario.spec.title) if part)
    given = [*(f"{key}={value}" for key, value in scenario.parameters.items()), f"ties {found.ties}"]
    lines = [named, ", ".join(given), f"Explored: {explored(found)}"]
    return [line for each in lines for line in _wrapped(each, width)]


def explored(found: Exploration) -> str:
    """What was explored, in words."""
    parts = [_GRAINS[found.interleavings], _TIES[found.ties]]
    if found.interleavings == "writes":
        parts.append(f"caches up to {count(found.lag, 'change')} behind" if found.lag else "caches never behind")
    if found.faults:
        calls = "one API call fails" if found.faults == 1 else f"up to {found.faults} API calls fail"
        parts.append(f"at most {calls}, or succeeds with its answer lost" if found.faults == 1
                     else f"{calls}, or succeed with their answers lost")
    if not found.is_symmetric:
        parts.append("equal things told apart by name")
    return "; ".join(parts)


_GRAINS: Final = {
    "ties": "every run in which what comes first is done first",
    "syncs": "every order in which components may act, a whole sync being one step",
    "writes": "every order of API calls, each being a step",
}
_TIES: Final = {
    "uniform": "every way in which ties can fall, all equally likely",
    "go-map": "every way in which ties can fall, as likely as Go's maps make them",
    "first": "of equal things always the first",
    "last": "of equal things always the last",
}


def _verdict(found: Exploration, width: int) -> list[str]:
    lines = [f"Verdict: {found.verdict}{_how_likely(found)}"]
    seen = f"{count(found.states, 'state')}, {count(found.transitions, 'transition')}"
    distinct = f"; {count(found.outlines, 'placement')} of claims and pods on the way"
    if found.is_complete:
        lines.append(f"Complete: {seen}, and there are no more{distinct}")
    else:
        left = len(found.graph.open_states)
        rest = (f"; {count(left, 'state')} {'was' if left == 1 else 'were'} left unexplored, and nothing is claimed of "
                "what follows them") if left else ""
        lines.append(f"Incomplete: {found.why_incomplete}{' after ' if left else ': '}{seen}{rest}")
    if found.stuck is not None and _LONGEST_LINE >= len(str(found.stuck)) > _LONG:
        lines.append(f"Exactly: {found.stuck}")
    wrong = sum(bool(end.failures) for end in found.ends)
    if wrong:
        lines.append(f"Timeline: it goes wrong in {wrong} of {count(len(found.ends), 'end')}")
    return [line for each in lines for line in _wrapped(each, width)]


def _how_likely(found: Exploration) -> str:
    """The end of the line that says the verdict."""
    stuck, bounds = found.stuck, found.bounds
    if found.verdict == NO_VERDICT:
        return f": {_so_far(found)}"
    if len({end.verdict for end in found.ends}) < 2:
        return f": every run does{_if_narrow(found)}" if found.is_complete else ""
    if stuck is not None:
        exactly = "exactly " if len(str(stuck)) <= _LONG else ""
        return f": with a chance of {exactly}{chance_text(stuck)}, {_under(found)}"
    if bounds is not None:
        is_same = bounds.least == bounds.greatest
        order = "whatever the order of steps" if is_same else "as the order of steps may be"
        exactly = "exactly " if is_same and len(str(bounds.least)) <= _LONG else ""
        return f": with a chance of {exactly}{_between(bounds)}, {order}, {_under(found)}"
    if not found.is_complete:
        return f": {_so_far(found)}"
    if found.faults:
        return ": some runs do, others converge; how likely that is depends on which calls fail"
    return ": some runs do, others converge; the bounds of the chance are not worked out for so many states"


def _between(bounds: Bounds, longest: int = _LONG) -> str:
    """Least and greatest chance."""
    if bounds.least == bounds.greatest:
        return chance_text(bounds.least, longest)
    about = "" if bounds.is_exact else "within "
    return f"{about}{chance_text(bounds.least, longest)} to {chance_text(bounds.greatest, longest)}"


def _so_far(found: Exploration) -> str:
    """What is known of an unfinished exploration."""
    stuck = sum((end.chance or Fraction(0) for end in found.ends if end.verdict == STUCK), Fraction(0))
    verdicts = [end.verdict for end in found.ends]
    at_least = f", with a chance of at least {chance_text(stuck)}, {_under(found)}" if stuck else ""
    if not verdicts:
        return "no run was followed to its end"
    if STUCK not in verdicts:
        return "all ends so far converge; no verdict beyond what was explored"
    if CONVERGED not in verdicts:
        return f"some runs do get stuck{at_least}; whether all do is not known"
    return f"some runs get stuck{at_least}; others converge"


def _if_narrow(found: Exploration) -> str:
    """The tie policy, where it leaves ways out in which ties can fall."""
    return f", under {found.ties} ties" if found.ties in ("first", "last") else ""


def _under(found: Exploration) -> str:
    return f"under {found.ties} ties"


def chance_text(chance: Fraction, longest: int = _LONG) -> str:
    """A chance as a fraction, if that is short, and in per cent.

    Examples
    --------
    >>> chance_text(Fraction(19, 28)), chance_text(Fraction(1))
    ('19/28 = 67.8571 %', '1 = 100 %')
    """
    from simulator.report.odds import fraction_text

    text = fraction_text(chance)
    fraction, equals, percent = text.partition(" = ")
    return percent if equals and len(fraction) > longest else text


# --- the ends -------------------------------------------------------------------------------------------------------


def _heading(found: Exploration) -> str:
    number = len(found.ends)
    known = "" if found.is_complete else " so far"
    alike = ", those alike but for names taken together" if number > 1 and found.is_symmetric else ""
    return f"{count(number, 'end')}{known}{alike}"


def _table(found: Exploration, width: int, is_full: bool) -> Iterator[str]:
    """The ends, a row each, the last column wrapped."""
    shown = found.ends if is_full or len(found.ends) <= ROWS + 1 else found.ends[:ROWS]
    places = {item.obj.name: volume_place(item.obj) for part in (found.scenario.initial,
              *(entry.given for entry in found.scenario.timeline)) for item in part.objects
              if isinstance(item.obj, PersistentVolume)}
    head = ["#", "VERDICT", "CHANCE", "SHORT OF ITS GOAL", "FOR EXAMPLE"]
    rows = [[str(number), _verdict_word(end), _chance(found, end), short_of(end), example(end, places)]
            for number, end in enumerate(shown, 1)]
    used = [column for column in range(5) if any(row[column] for row in rows)]
    widths = [min(30, max(len(row[column]) for row in [head, *rows])) + 2 for column in used[:-1]]
    room = max(24, width - 2 - sum(widths))
    for row in [head, *rows]:
        cells = [textwrap.wrap(row[column], size, break_on_hyphens=False, break_long_words=False) or [""]
                 for column, size in zip(used, [*(w - 2 for w in widths), room], strict=True)]
        for line in range(max(map(len, cells))):
            parts = [cell[line] if line < len(cell) else "" for cell in cells]
            padded = [part.ljust(size) for part, size in zip(parts, [*widths, 0], strict=True)]
            yield f"  {''.join(padded)}".rstrip()
    if len(shown) < len(found.ends):
        yield from _indented(_wrapped(f"… and {_summed_up(found.ends[len(shown):])} (--full)", width - 2))


def _verdict_word(end: End) -> str:
    return "stuck, for ever busy" if end.is_livelock else end.verdict


def _chance(found: Exploration, end: End) -> str:
    if end.chance is None and end.bounds is None:
        return "possible"
    if end.chance is None:
        assert end.bounds is not None
        return _between(end.bounds, _LONGEST)
    text = chance_text(end.chance, _LONGEST)
    return text if found.is_complete else f"at least {text}"


def _summed_up(ends: Sequence[End]) -> str:
    parts = []
    for verdict in (CONVERGED, STUCK):
        alike = [end for end in ends if end.verdict == verdict]
        if alike:
            chances = [end.chance for end in alike]
            total = sum((chance for chance in chances if chance is not None), Fraction(0))
            likely = f", together {chance_text(total, _LONGEST)}" if None not in chances else ""
            parts.append(f"{count(len(alike), 'more end')} {verdict}{likely}")
    return "; ".join(parts)


def short_of(end: End) -> str:
    """What is short of its goal, in a few words: pods; else claims; else whatever there is."""
    for kind in ("Pod", "PersistentVolumeClaim", "StatefulSet"):
        mine = {key: why for key, why in end.waiting.items() if key.startswith(f"{kind}/")}
        if mine:
            by_why: dict[str, list[str]] = {}
            for key, why in mine.items():
                by_why.setdefault(why.removeprefix("is "), []).append(_short(key))
            return "; ".join(f"{listing(names)} {why}" for why, names in by_why.items())
    return "; ".join(f"{_short(key)} {why}" for key, why in end.waiting.items())


def example(end: End, places: dict[str, str]) -> str:
    """One such end: where pods are, and which volumes are held by claims whose pods are nowhere.

    Parameters
    ----------
    places : volume → where it is, as the end of a sentence.
    """
    placed = [f"{_short(pod)} on {node}" for pod, node in end.placements.items()]
    used = {claim for pod in end.placements for claim in end.claims.get(pod, ())}
    held = [f"{_short(claim)} has {volume}{places.get(volume, '')}"
            for claim, volume in end.bindings.items() if claim not in used]
    wrong = [each if each.startswith("timeline") else f"timeline: {each}" for each in end.failures]
    parts = [listing(placed, _NAMES), listing(held, _NAMES), *wrong]
    return "; ".join(part for part in parts if part)


def _short(key: str) -> str:
    """An object's name, with its namespace where that is not the default one."""
    _, *rest = key.split("/")
    return "/".join(part for part in rest if part != "default") if len(rest) > 1 else rest[0]


# --- the way into a stuck end ---------------------------------------------------------------------------------------


def _story(found: Exploration, stuck: Stuck, width: int, is_full: bool) -> Iterator[list[str]]:
    """The run, and why it is stuck."""
    only = len(found.ends) == 1
    lines = story_lines(stuck.log, width - 2, is_full)
    if not has_no_return(stuck.log):
        said = f"No step of it is to blame: every run gets stuck{_if_narrow(found)}, from the beginning."
        lines += _wrapped(said, width - 2)
    alike = []
    if stuck.alike:
        ends = f"Ends {listing(map(str, stuck.alike))} are" if len(stuck.alike) > 1 else f"End {stuck.alike[0]} is"
        alike = _wrapped(f"{ends} stuck in a like way (--full)", width - 2)
    yield [f"The shortest run into {'it' if only else f'end {stuck.number}'}", *_indented(lines)]
    why = render(explain(gather(stuck.log)), width - 2)
    yield ["Why it is stuck", *_indented([*why, *alike])]


def has_no_return(log: Log) -> bool:
    """Whether a run has a point of no return."""
    return any(entry.verb == NO_RETURN for entry in log.entries)


# --- what was not explored ------------------------------------------------------------------------------------------


def _left_out(found: Exploration, width: int) -> Iterator[str]:
    yield "Not explored"
    for text in left_out(found):
        yield from _indented(_wrapped(text, width - 2))


def left_out(found: Exploration) -> list[str]:
    """What the answer does not cover."""
    texts = ["durations: what needs no waiting takes no time; a timer runs out only when nothing else can come, the "
             "earliest first, and the times above are such nominal ones"]
    if found.interleavings == "ties":
        texts.append("other orders of steps (--interleavings syncs or writes)")
    elif found.interleavings == "syncs":
        texts.append("what comes between two API calls of one sync (--interleavings writes)")
    elif not found.lag:
        texts.append("caches that are behind (--lag 1)")
    if any(sts.replicas > MOST_ORDERED for sts in _sets(found)):
        texts.append(f"orders of more than {MOST_ORDERED} pods that are not alike, of which Kubernetes leaves open "
                     "which is made first")
    if len(found.scenario.timeline) > 1:
        texts.append("a timeline that goes on while things are under way: each entry waits until nothing else can come")
    if not found.faults:
        texts.append("API calls that fail (--faults 1)")
    if found.ties in ("first", "last"):
        texts.append("other ways in which ties can fall (--ties uniform)")
    if found.graph.open_states:
        texts.append(f"what follows {count(len(found.graph.open_states), 'state')} (--states and --time go further)")
    return texts


def _sets(found: Exploration) -> Iterator[StatefulSet]:
    """The sets whose pods are all started at once."""
    scenario = found.scenario
    for part in (scenario.initial, *(entry.given for entry in scenario.timeline)):
        for item in part.objects:
            if isinstance(item.obj, StatefulSet) and item.obj.spec.pod_management_policy == "Parallel":
                yield item.obj


def _notes(found: Exploration, width: int) -> Iterator[list[str]]:
    header = header_of(found.scenario, 0, found.ties)
    for key, title in NOTES.items():
        if header.get(key):
            yield [title, *(line for note in header[key] for line in _indented(_wrapped(note, width - 2)))]


def _hints(found: Exploration, command: str, log: str) -> Iterator[str]:
    """What to ask next; never wrapped, so that commands can be copied."""
    if any(end.verdict == STUCK for end in found.ends):
        is_likely = found.interleavings == "ties" and not found.faults
        how = "" if log or is_likely else "(--log stuck.jsonl first) "
        target = shlex.quote(log) if log else command if is_likely else "stuck.jsonl"
        yield f"`bindsim why {target}` {how}proves the cause and finds what mends it"
    yield f"`bindsim odds {command}` tells how likely it is when things take time"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
