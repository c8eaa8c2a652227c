"""Colour for a report on a terminal. Imported only there: rich takes longer to start than a small run to simulate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text

_VERDICTS: Final = {"converged": "bold green", "stuck": "bold red", "no verdict": "bold yellow", "none": "bold yellow",
                    "always converges": "bold green", "may get stuck": "bold yellow", "always gets stuck": "bold red"}
_VERDICT: Final = re.compile(rf"Verdict: ({'|'.join(_VERDICTS)})")
_STATES: Final = (
    (re.compile(r"\b(?:Running|Bound|Ready)\b(?=\s{2}|,|$)"), "green"),
    (re.compile(r"\b(?:Pending|ContainerCreating|Terminating|Released|SchedulingDisabled)\b(?=\s{2}|$)"), "yellow"),
    (re.compile(r"\b(?:Failed|Lost|Error|CrashLoopBackOff|NotReady|ImagePullBackOff|Evicted)\b(?=\s{2}|,|$)"), "red"),
    (re.compile(r"^  (?:[A-Z]{2,}[A-Z \-()]*\s{2,})+[A-Z ]+$"), "bold"),
    (re.compile(r"^  \S*\d(?:us|ms|s)(?=  )"), "cyan"),
)


def coloured(lines: Sequence[str]) -> str:
    """The lines with terminal colours: headings, the verdict, and states that kubectl's users look for."""
    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", highlight=False, soft_wrap=True)
    for line in lines:
        text = Text(line)
        if line and not line.startswith(" "):
            text.stylize("bold")
        if (found := _VERDICT.match(line)) is not None:
            text.stylize(_VERDICTS[found[1]], *found.span(1))
        for pattern, style in _STATES:
            text.highlight_regex(pattern, style)
        console.print(text)
    return out.getvalue()
