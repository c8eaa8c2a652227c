"""The answer of ``bindsim check`` as text and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

import msgspec

from simulator.explanation.reasons import render
from simulator.explanation.words import count, listing
from simulator.preflight.result import BEFORE, ERROR, NOTE, WARNING, Finding, Odds, Preflight, Trouble
from simulator.report.terminal import WIDTH, print_lines
from simulator.version import __version__

API_VERSION: Final = "bindsim/v1"
MOST: Final = 3
"""So many findings of one lint are written out, and so many objects of one trouble named."""
_FAILED: Final = 10
_TITLES: Final = {ERROR: "Errors", WARNING: "Warnings", NOTE: "Good to know"}


def check_result(found: Preflight) -> str:
    """The answer as JSON text: kind CheckResult."""
    return json.dumps(check_data(found), indent=2, ensure_ascii=False) + "\n"


def check_data(found: Preflight) -> dict[str, Any]:
    """The answer as JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    plain["reasons"] = [reason.plain() for reason in found.reasons]
    data = {_camel(name): value for name, value in plain.items()}
    for name, value in data.items():
        if isinstance(value, (list, tuple)):
            data[name] = [_named(each) for each in value]
        elif name == "odds" and value is not None:
            data[name] = _named(value)
    return {"apiVersion": API_VERSION, "kind": "CheckResult", "version": __version__, **data}


def _named(value: Any) -> Any:
    return {_camel(name): inner for name, inner in value.items()} if isinstance(value, dict) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def print_check(found: Preflight, stream: TextIO) -> None:
    """Write the answer; with colour on a terminal, unless NO_COLOR is set."""
    print_lines(lambda width: check_lines(found, width), stream)


def check_lines(found: Preflight, width: int = WIDTH) -> list[str]:
    """The answer as lines: what is checked, verdict, odds, reason, repair, lints, and what was strange in the dump."""
    sections = [
        _subject(found, width),
        _answer(found, width),
        ["Refused by the API server", *_indented(_refused(found, width - 2))] if found.refused else [],
        ["Why", *_indented(render(found.reasons, width - 2))] if found.reasons else [],
        *_repairs(found, width),
        ["Stuck with or without it", *_indented(_listed(found.before, width - 2))] if found.before else [],
        *_findings(found.findings, width),
        ["Strange in the dump", *_indented(_troubles(found.troubles, width - 2))] if found.troubles else [],
        ["Assumed", *_indented(_wrapped(found.assumed, width - 2))] if found.assumed else [],
        ["Not simulated", *_indented(_wrapped(found.not_simulated, width - 2))] if found.not_simulated else [],
    ]
    lines: list[str] = []
    for section in sections:
        if section:
            lines.extend(["", *section] if lines else section)
    return lines


def _subject(found: Preflight, width: int) -> list[str]:
    """What is checked against what."""
    lines = []
    if found.cluster:
        kinds = [f"{number} {kind}" for kind, number in found.counts.items() if kind != "ControllerRevision"]
        lines.append(f"Cluster: {', '.join(found.cluster)} ({', '.join(kinds) or 'empty'})")
    if found.changes:
        by_action: dict[str, list[str]] = {}
        for change in found.changes:
            by_action.setdefault(change.action, []).append(_short(change.object))
        what = "; ".join(f"{action} {listing(names)}" for action, names in by_action.items())
        lines.append(f"Applied: {', '.join(found.manifests)}: {what}")
    elif found.manifests:
        lines.append(f"{'Applied' if found.cluster else 'Checked'}: {', '.join(found.manifests)}")
    else:
        lines.append("Applied: nothing; this is about the cluster as it is")
    return [part for line in lines for part in _wrap(line, width)]


def _short(name: str) -> str:
    kind, *rest = name.split("/")
    if len(rest) == 2 and rest[0] == "default":
        rest = rest[1:]
    return "/".join([kind, *rest])


def _answer(found: Preflight, width: int) -> list[str]:
    lines = _wrap(f"Verdict: {found.verdict}: {found.why}", width)
    lines.extend(part for failure in found.failures for part in _wrap(f"Timeline: {failure}", width))
    if not found.is_proven and found.why_not_proven:
        lines.extend(_wrap(f"Exploration incomplete: {found.why_not_proven}", width))
    if found.odds is not None:
        lines.extend(_wrap(f"Odds of getting stuck: {odds_text(found.odds)}", width))
        if found.max_odds is not None and found.verdict != "always converges":
            limit = _percent(found.max_odds)
            held = found.odds.high <= found.max_odds
            lines.extend(_wrap(f"Accepted: {'yes' if held else 'no'}, --max-odds is {limit}", width))
    return lines


def odds_text(odds: Odds) -> str:
    """The odds in a sentence.

    Examples
    --------
    >>> odds_text(Odds(ties="uniform", stuck=19 / 28, low=19 / 28, high=19 / 28, exact="19/28"))
    '19/28 = 67.86 % exactly, under uniform ties'
    >>> odds_text(Odds(ties="uniform", stuck=0.25, low=0.11, high=0.47, runs=20))
    '25 %, from 11 % to 47 % (95 % interval of 20 runs), under uniform ties'
    """
    if odds.exact:
        share = "0" if not odds.stuck else odds.exact if odds.stuck == 1 else f"{odds.exact} = {_percent(odds.stuck)}"
        return f"{share} exactly, under {odds.ties} ties"
    return (f"{_percent(odds.stuck)}, from {_percent(odds.low)} to {_percent(odds.high)} (95 % interval of "
            f"{count(odds.runs, 'run')}), under {odds.ties} ties")


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _refused(found: Preflight, width: int) -> Iterator[str]:
    for change in found.refused:
        yield from _wrap(f"{change.where}: {change.message}", width)


def _repairs(found: Preflight, width: int) -> Iterator[list[str]]:
    for repair in found.repairs:
        title = "Mended before anything is applied" if repair.when == BEFORE else "Cheapest repair once it is stuck"
        loses = " (loses data)" if repair.loses_data else ""
        yield [title, *_indented([*_wrap(repair.text + loses, width - 2), *(f"  {line}" for line in repair.commands)])]


def _listed(short: dict[str, str], width: int) -> list[str]:
    lines = [f"{_short(name)} {what}" for name, what in short.items()]
    shown = lines if len(lines) <= _FAILED else [*lines[:_FAILED], f"and {len(lines) - _FAILED} more"]
    return [part for line in shown for part in _wrap(line, width)]


def _findings(findings: Sequence[Finding], width: int) -> Iterator[list[str]]:
    """What the lints found, by severity; of many findings of one lint a few."""
    for severity, title in _TITLES.items():
        lines: list[str] = []
        by_lint: dict[tuple[str, bool], list[Finding]] = {}
        for each in findings:
            if each.severity == severity:
                by_lint.setdefault((each.lint, each.is_new), []).append(each)
        for (name, _), alike in by_lint.items():
            most = len(alike) if len(alike) == MOST + 1 else MOST
            for number, each in enumerate(alike[:most]):
                lines.extend(_wrap(f"{each.where}: {_short(each.object)}: {each.what} [{name}]", width - 2))
                if number == 0 or (each.why, each.mend) != (alike[0].why, alike[0].mend):
                    lines.extend(f"  {part}" for part in _wrap(f"{each.why}. Mend: {each.mend}", width - 4))
            if len(alike) > most:
                lines.append(f"... and {len(alike) - most} more [{name}]")
        if lines:
            yield [title, *_indented(lines)]


def _troubles(troubles: Sequence[Trouble], width: int) -> Iterator[str]:
    for each in troubles:
        is_told = 0 < len(each.objects) <= MOST + 1
        names = f"{listing(map(_short, each.objects), MOST)}: " if is_told else ""
        yield from _wrap(f"{each.where}: {names}{each.what} [{each.kind}]", width)
        yield from (f"  {line}" for line in _wrap(each.taken, width - 2))


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    return [part for line in lines for part in _wrap(line, width)]


def _wrap(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def _indented(lines: Sequence[str] | Iterator[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
