"""The answer of ``bindsim odds``: how runs end, what stuck ones fail on, the closed form; as text and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil, log10
from typing import Any, Final, TextIO

from simulator.report.tables import table
from simulator.report.terminal import WIDTH, print_lines
from simulator.sampling.odds import Odds
from simulator.sampling.recognition import ClosedForm
from simulator.sampling.tally import Group, Share
from simulator.version import __version__

API_VERSION: Final = "bindsim/v1"
_MOST: Final = 10
"""So many causes are shown."""
_LONGEST: Final = 40
"""Characters of a fraction that is written out."""


def print_odds(found: Odds, stream: TextIO, replay: Callable[[int], str]) -> None:
    """Write the report; with colour on a terminal, unless NO_COLOR is set.

    Parameters
    ----------
    replay : the command that makes the run with a seed again.
    """
    print_lines(lambda width: odds_lines(found, replay), stream)


def odds_lines(found: Odds, replay: Callable[[int], str]) -> list[str]:
    """The report, line by line; see `print_odds`."""
    given = [*(f"{key}={value}" for key, value in found.parameters.items()), f"ties {found.ties}"]
    lines = [": ".join(part for part in (found.scenario, found.title) if part), ", ".join(given)]
    for title, section in (
        ("Exact", list(_exact(found))),
        (_engine(found), list(_shares(found))),
        ("What stuck runs failed on first", list(_causes(found, replay))),
        ("No verdict", list(_groups(found.undecided, replay))),
        ("Went wrong in the timeline", list(_groups(found.failures, replay))),
    ):
        if section:
            lines.extend(["", title, *(f"  {line}" for line in section)])
    if found.exact is None:
        lines.extend(["", *_wrapped(f"No closed form is known to hold: {found.why_not_exact}. "
                                    "`bindsim explore` gives the exact odds of small clusters.")])
    else:
        lines.extend(["", "`bindsim explore` finds the exact odds of small clusters from every possible run."])
    return lines


# --- the closed form ------------------------------------------------------------------------------------------------


def _exact(found: Odds) -> Iterator[str]:
    form = found.exact
    if form is None:
        return
    yield from table([[verdict, fraction_text(chance)]
                      for verdict, chance in (("stuck", form.stuck), ("converged", form.converged))])
    yield f'by the closed form "{form.name}", whatever the durations:'
    for line in (form.formula, *form.numbers):
        yield from (f"  {part}" for part in _wrapped(line, WIDTH - 4))
    symbols = (("[", "[x]_j = x (x-1) … (x-j+1)"), ("e_r", "e_r: the sum over all choices of r nodes of the product of "
                                                    "their terms"))
    said = "; ".join(words for symbol, words in symbols if symbol in form.formula)
    yield from (f"  {part}" for part in _wrapped(said, WIDTH - 4))


def fraction_text(chance: Fraction) -> str:
    """A chance as a fraction, if it is short, and in per cent.

    Examples
    --------
    >>> fraction_text(Fraction(19, 28)), fraction_text(Fraction(1))
    ('19/28 = 67.8571 %', '1 = 100 %')
    """
    written, digits = str(chance), 6
    while digits < 17 and chance < 1 and f"{float(chance) * 100:.{digits}g}" == "100":
        digits += 1
    percent = f"{float(chance) * 100:.{digits}g} %"
    return f"{written} = {percent}" if len(written) <= _LONGEST else percent


# --- sampling -------------------------------------------------------------------------------------------------------


def _engine(found: Odds) -> str:
    runs = f"{found.runs} {'run' if found.runs == 1 else 'runs'}"
    return f"Timed engine: {runs}, seeds derived from root seed {found.seed}" if found.stopped else ""


def _shares(found: Odds) -> Iterator[str]:
    if not found.stopped:
        return
    exact = {} if found.exact is None else {"converged": found.exact.converged, "stuck": found.exact.stuck}
    head = ["VERDICT", "RUNS", "SHARE", f"{_percent(found.confidence)} INTERVAL"]
    rows = [head + (["EXACT"] if exact else [])]
    for share in found.shares:
        row = [share.verdict, str(share.runs), *_share(share)]
        rows.append(row + ([fraction_text(exact.get(share.verdict, Fraction(0)))] if exact else []))
    yield from table(rows)
    yield from _wrapped(_stopped(found), WIDTH - 2)


def _share(share: Share) -> tuple[str, str]:
    """A share and its interval, in per cent with as many decimals as the width of the interval bears out."""
    half = max((share.high - share.low) / 2, 1e-9)
    digits = min(6, max(1, ceil(-log10(half * 100)) + 1))
    low, middle, high = (f"{100 * value:.{digits}f} %" for value in (share.low, share.share, share.high))
    return middle, f"{low} to {high}"


def _percent(share: float) -> str:
    return f"{100 * share:.6g} %"


def _stopped(found: Odds) -> str:
    if found.stopped == "interrupted":
        return "Interrupted: this is what was known so far."
    if found.precision is None:
        return "The intervals are Wilson's."
    wanted = f"within ± {_percent(found.precision)}"
    if found.stopped == "precision":
        return (f'Stopped when the interval of "stuck" (Wilson\'s) was {wanted}; looked at after 100, 125, 157, … '
                "runs, which takes about 1 % off the confidence at most.")
    return f'All runs asked for were made; the interval of "stuck" (Wilson\'s) was not {wanted} at any look before.'


# --- causes ---------------------------------------------------------------------------------------------------------


def _causes(found: Odds, replay: Callable[[int], str]) -> Iterator[str]:
    if not found.causes:
        return
    stuck = found.share("stuck").runs
    yield from table([["RUNS", "OF THE STUCK", "PLUG-IN", "FIRST TO WAIT", "SUCH AS SEED"], *(
        [str(cause.runs), f"{100 * cause.runs / stuck:.1f} %", ", ".join(cause.plugins) or "-", _objects(cause),
         str(cause.seed)] for cause in found.causes[:_MOST]
    )])
    for number, cause in enumerate(found.causes[:_MOST], 1):
        mark = f"{number}. " if len(found.causes) > 1 else ""
        yield from textwrap.wrap(f"{mark}{cause.what}", WIDTH - 2, subsequent_indent=" " * len(mark),
                                 break_on_hyphens=False)
    if len(found.causes) > _MOST:
        yield f"… and {len(found.causes) - _MOST} more (-o json has them all)"
    yield f"One of them again: {replay(found.causes[0].seed)}"


def _objects(cause: Group) -> str:
    """The objects, by name; the three most frequent."""
    named = [f"{_short(key)} ({number})" for key, number in cause.objects.items()]
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


def _short(key: str) -> str:
    kind, _, rest = key.partition("/")
    name = rest.removeprefix("default/")
    return name if kind == "Pod" else f"{kind}/{name}"


def _groups(groups: Sequence[Group], replay: Callable[[int], str]) -> Iterator[str]:
    for group in groups[:_MOST]:
        runs = f"{group.runs} {'run' if group.runs == 1 else 'runs'}"
        yield from _wrapped(f"{runs}: {group.what}; such as: {replay(group.seed)}", WIDTH - 2)
    if len(groups) > _MOST:
        yield f"… and {len(groups) - _MOST} more (-o json has them all)"


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


# --- JSON -----------------------------------------------------------------------------------------------------------


def odds_result(found: Odds) -> str:
    """The odds as JSON text: kind OddsResult; fractions as texts beside their decimals."""
    return json.dumps(odds_data(found), indent=2, ensure_ascii=False) + "\n"


def odds_data(found: Odds) -> dict[str, Any]:
    """The odds as JSON data."""
    sampled = {
        "engine": "timed", "runs": found.runs, "seed": found.seed, "stopped": found.stopped,
        "wantedRuns": found.wanted_runs, "precision": found.precision, "confidence": found.confidence,
        "shares": {
            _camel(share.verdict): {"runs": share.runs, "share": share.share, "interval": [share.low, share.high]}
            for share in found.shares
        },
        "causes": [_group(cause) for cause in found.causes],
        "undecided": [_group(group) for group in found.undecided],
        "failures": [_group(group) for group in found.failures],
    }
    return {
        "apiVersion": API_VERSION, "kind": "OddsResult", "version": __version__,
        "scenario": found.scenario, "title": found.title, "parameters": found.parameters, "ties": found.ties,
        "exact": _form(found.exact) if found.exact is not None else None,
        **({"whyNotExact": found.why_not_exact} if found.exact is None else {}),
        "sampled": sampled if found.stopped else None,
    }


def _form(form: ClosedForm) -> dict[str, Any]:
    return {
        "form": form.name, "formula": form.formula, "numbers": list(form.numbers),
        "converged": {"fraction": str(form.converged), "decimal": float(form.converged)},
        "stuck": {"fraction": str(form.stuck), "decimal": float(form.stuck)},
    }


def _group(group: Group) -> dict[str, Any]:
    return {"what": group.what, "runs": group.runs, "plugins": list(group.plugins), "objects": group.objects,
            "exampleSeed": group.seed}


def _camel(verdict: str) -> str:
    return "noVerdict" if verdict == "no verdict" else verdict
