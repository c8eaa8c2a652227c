"""The report of `bindsim why`: the cause with its proof, every rule on every node, and the repairs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

import msgspec

from simulator.diagnosis.data import Diagnosis, Knot, Member, Repair, Step, WayOut
from simulator.diagnosis.table import NodeAnswers, PodTable
from simulator.explanation.words import count, listing
from simulator.report.data import API_VERSION
from simulator.report.tables import table
from simulator.report.terminal import WIDTH, Code, print_lines
from simulator.version import __version__

ROWS: Final = 12
"""So many rows of a table of nodes are shown."""
TOLD: Final = 1
"""So many knots of one kind are told, unless all is wanted."""
REPAIRS: Final = 8
"""So many repairs are told, unless all are wanted."""
WAYS: Final = 4
"""So many ways out are told."""
_DATA: Final = {"kept": "keeps all data", "set aside": "SETS DATA ASIDE", "lost": "LOSES DATA"}


def print_why(found: Diagnosis, stream: TextIO, is_full: bool = False) -> None:
    """Write the report; with colour on a terminal, unless NO_COLOR is set.

    Parameters
    ----------
    is_full : every core, every rule, every repair.
    """
    print_lines(lambda width: why_lines(found, width, is_full), stream)


def why_lines(found: Diagnosis, width: int = WIDTH, is_full: bool = False) -> list[str]:
    """The report as lines."""
    sections = [_title(found), _verdict(found, width)]
    told: dict[str, int] = {}
    for knot in found.stuck:
        shape = "|".join(member.kind for member in (knot.cores[0].members if knot.cores else ()))
        if not knot.alike:
            told[shape] = told.get(shape, 0) + 1
            sections += _knot(knot, width, is_full) if is_full or told[shape] <= TOLD else ()
    alike: dict[str, list[str]] = {}
    for knot in found.stuck:
        if knot.alike:
            alike.setdefault(knot.alike, []).extend(map(_short, knot.objects))
    for first, others in alike.items():
        verb = "is" if len(others) == 1 else "are"
        sections.append(_wrapped(f"{listing(others)} {verb} stuck in the same way as {_short(first)}", width, "", "  "))
    if found.stuck:
        sections.append(list(_repairs(found, width, is_full)))
    lines: list[str] = []
    for section in sections:
        if section:
            lines.extend(["", *section] if lines else section)
    return lines


def _title(found: Diagnosis) -> list[str]:
    named = ": ".join(part for part in (found.scenario, found.title) if part)
    given = [f"{key}={value}" for key, value in found.parameters.items()]
    if found.seed is not None:
        given += [f"seed {found.seed}", f"ties {found.ties}"]
    return [line for line in (named, ", ".join(given)) if line]


def _verdict(found: Diagnosis, width: int) -> list[str]:
    said = [f"Verdict: {found.verdict}: {found.why}", *([f"Note: {found.found}"] if found.found else []),
            *(f"Timeline: {failure}" for failure in found.failures)]
    return [line for each in said for line in _wrapped(each, width, "", "  ")]


# --- one thing that is stuck ----------------------------------------------------------------------------------------


def _knot(knot: Knot, width: int, is_full: bool) -> Iterator[list[str]]:
    story = list(knot.story) or [f"{_short(name)} {why}" for name, why in zip(knot.objects, knot.short, strict=True)]
    lines = ["Why"]
    for each in story:
        first = "  " + _indent(each)
        lines += _wrapped(each.lstrip(), width, first, first + "    ")
    if knot.effects:
        lines += _wrapped(f"so {listing(knot.effects)}", width, "  ", "    ")
    if knot.remark:
        lines += _wrapped(f"No cause is named: {knot.remark}.", width, "  ", "    ")
    yield lines
    if knot.cores:
        yield list(_core(knot, width))
        others = knot.cores[1:]
        for other in others if is_full else ():
            texts = [f"- {member.text}" + (f", {_place(member)}" if member.where else "") for member in other.members]
            yield ["Another core, enough by itself",
                   *(line for text in texts for line in _wrapped(text, width, "  ", "    "))]
        if others and not is_full:
            number = "another core holds" if len(others) == 1 else f"{len(others)} other cores hold"
            yield _wrapped(f"Beside it {number} the same: --full tells", width, "", "  ")
    for answers in knot.tables:
        yield list(_table(answers, width, is_full))


def _core(knot: Knot, width: int) -> Iterator[str]:
    members = knot.cores[0].members
    head = "Core: this fact alone holds it" if len(members) == 1 else (
        f"Core: these {len(members)} facts together hold it, and none of them is too many")
    yield head
    yield from _members(members, 1)
    others = _others(knot)
    if others:
        yield "  In the way as well, though not of this core"
        for number, member in enumerate(others, len(members) + 1):
            place = f", {_place(member)}" if member.where else ""
            yield from _wrapped(f"[{number}] {member.text}{place}", width, "  ", "      ")
    yield from _wrapped(_proof(knot, [*members, *others]), width, "  ", "  ")


def _others(knot: Knot) -> list[Member]:
    """The facts of ways out that are not of the core."""
    texts = [member.text for member in knot.cores[0].members]
    found = {member.text: member for way in knot.ways_out[:WAYS] for member in way.members}
    return [member for text, member in found.items() if text not in texts]


def _members(members: Sequence[Member], first: int) -> list[str]:
    rows = [(f"[{number}] {_short(member.object, with_kind=True)}", _place(member)) for number, member
            in enumerate(members, first)]
    column = min(max(len(name) for name, _ in rows) + 2, 44)
    return [f"  {name.ljust(column)}{place}".rstrip() for name, place in rows]


def _place(member: Member) -> str:
    if member.where and member.made_from:
        return f"{member.where} ({member.made_from})"
    return member.where or member.made_from or "written by nobody"


def _proof(knot: Knot, numbered: Sequence[Member]) -> str:
    """What was shown, and how."""
    members = knot.cores[0].members
    others = knot.facts - len(members)
    which = "the other fact" if others == 1 else f"the {others} other facts"
    away = f"with {which} in question taken away it stays stuck, and " if others else ""
    each = "without it," if len(members) == 1 else "with any one of these taken away" + (" too" if others else "")
    single = [way.members[0] for way in knot.ways_out if len(way.members) == 1]
    text = f"Proof, by {count(knot.experiments, 'experiment')} that begin here: {away}{each} it can resolve."
    if len(single) == len(members):
        return text if len(members) == 1 else f"{text} Any one of them is a way out by itself."
    ways = [_together(way, numbered) for way in knot.ways_out[:WAYS]]
    return f"{text} Ways out: {'; '.join(ways)}." if ways else text


def _together(way: WayOut, numbered: Sequence[Member]) -> str:
    texts = [other.text for other in numbered]
    names = [f"[{texts.index(member.text) + 1}]" for member in way.members]
    return names[0] if len(names) == 1 else f"{listing(names)} together"


# --- every rule on every node ---------------------------------------------------------------------------------------


def _table(found: PodTable, width: int, is_full: bool) -> Iterator[str]:
    if not found.nodes:
        return
    rules = [answer.rule for answer in found.nodes[0].answers] if is_full else found.refusing
    yield f"Every rule on every node, for {_short(found.pod)}"
    groups: dict[tuple[str, ...], list[str]] = {}
    for each in found.nodes:
        groups.setdefault(tuple(_answers(each, rules)), []).append(each.node)
    if len(found.nodes) <= ROWS:
        rows = [(each.node, *_answers(each, rules)) for each in found.nodes]
    else:
        rows = [(listing(names, 2), *answers) for answers, names in groups.items()]
    if is_full:
        yield from (f"  {line}" for line in table(_turned([("RULE", *rules), *rows[:ROWS]])))
    elif rules:
        yield from (f"  {line}" for line in table([("NODE", *rules), *rows[:ROWS]]))
    if len(rows) > ROWS:
        yield f"  and {count(len(rows) - ROWS, 'more group')} of nodes"
    total = len(found.nodes[0].answers)
    if not is_full and total > len(rules):
        yield f"  {'All' if not rules else 'The other'} {total - len(rules)} rules: yes on every node"
    for answer in found.outright:
        yield from _wrapped(f"{answer.rule}: {answer.text}", width, "  ", "      ")
    for rule in found.refusing:
        if rule not in [answer.rule for answer in found.outright]:
            yield from _wrapped(f"{rule}: {'; '.join(found.said.get(rule, ()))}", width, "  ", "      ")


def _answers(each: NodeAnswers, rules: Sequence[str]) -> list[str]:
    by_rule = {answer.rule: answer.answer for answer in each.answers}
    return [by_rule[rule] for rule in rules]


def _turned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


# --- repairs --------------------------------------------------------------------------------------------------------


def _repairs(found: Diagnosis, width: int, is_full: bool) -> Iterator[str]:
    shown = found.repairs if is_full else found.repairs[:REPAIRS]
    if not shown:
        yield "Repairs: none was found that mends it"
        return
    yield "Repairs, each carried out from here on in the simulation, the cheapest first"
    for number, repair in enumerate(shown, 1):
        yield from _wrapped(f"{repair.title} ({_cost(repair)})", width, f"  {number}. ", "     ")
        for step in repair.steps:
            yield from _step(step)
        for note in repair.notes:
            yield from _wrapped(note, width, "     - ", "       ")
    if len(shown) < len(found.repairs):
        yield f"  and {count(len(found.repairs) - len(shown), 'more')}: --full"


def _cost(repair: Repair) -> str:
    parts = [_DATA[repair.data]]
    if repair.restarts:
        parts.append(f"ends or restarts {listing(repair.restarts)}")
    if repair.needs_hardware:
        parts.append("needs hardware")
    if not repair.is_certain:
        ways = "ways in which ties can fall" if repair.is_every_run else "runs tried"
        parts.append(f"works in {repair.converged} of {repair.runs} {ways}")
    if not repair.mends_all:
        parts.append("mends only a part")
    return ", ".join(parts)


def _step(step: Step) -> Iterator[str]:
    """A step, flush left, so that it can be copied: a shell would take indented manifests amiss."""
    if step.manifest:
        yield Code(f"{step.command} <<'EOF'")
        yield from map(Code, step.manifest.rstrip("\n").split("\n"))
        yield Code("EOF")
    else:
        yield Code(step.command or f"# {step.words}")


# --- words ----------------------------------------------------------------------------------------------------------


def _short(name: str, with_kind: bool = False) -> str:
    kind, *rest = name.split("/")
    bare = "/".join(part for part in rest if part != "default") if len(rest) > 1 else rest[0]
    return f"{kind} {bare}" if with_kind else bare


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    deeper = rest if len(rest) >= len(first) else first + "  "
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=deeper, break_long_words=False,
                         break_on_hyphens=False)


# --- data -----------------------------------------------------------------------------------------------------------


def why_result(found: Diagnosis) -> str:
    """A diagnosis as JSON text: kind WhyResult."""
    return json.dumps(why_data(found), indent=2, ensure_ascii=False) + "\n"


def why_data(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis as JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    deadlocked = found.graph.deadlocked
    for vertex in plain["graph"]["vertices"]:
        vertex["deadlocked"] = vertex["name"] in deadlocked
    return {"apiVersion": API_VERSION, "kind": "WhyResult", "version": __version__, **plain}



