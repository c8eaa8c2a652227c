"""The page of agreement: what was compared with Kubernetes 1.36, and what came of it.

    pytest tests/conformance --write-agreement        writes docs/agreement.md
    pytest                                            fails if the page is not what the run has just found
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.rules.audit import audit
from tests.rules.report import summaries

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "agreement.md"
OUTCOMES = ("passed", "failed", "known deviation")

_HEAD = """# How far the simulator agrees with Kubernetes 1.36

Written by `pytest tests/conformance --write-agreement`; the tests fail when it is not current.

*Upstream* cases are questions that 1.36 is known to answer so: which volume for a claim, which nodes for a pod, what
a StatefulSet does next. The answers must be equal. *Recorded* cases are runs of a real 1.36.2 control plane. Their
first run is replayed with the recorded choices and compared: pods, claims, volumes, sets and taints at the end of
each stage, events with their messages, answers of the API server, the order of causes and effects, and waits that a
rule fixes. Of repeated cases every observed outcome must be reachable, and where there are enough repetitions, the
observed frequencies must be likely (an exact multinomial test at 0.001) under the tie policy that fits. *Random*
cases are recorded runs of clusters that nobody designed.
"""


def page(counts: Mapping[str, Counter[str]]) -> str:
    """The page for the counts of a run, by family."""
    deviations = yaml.safe_load((HERE / "deviations.yaml").read_text())
    return "\n".join([_HEAD, *_table(counts), "", *_deviations(deviations), *_left_out(deviations), *_rules()]) + "\n"


def _table(counts: Mapping[str, Counter[str]]) -> Iterator[str]:
    yield "| family | cases | " + " | ".join(OUTCOMES) + " |"
    yield "|---|---:|" + "---:|" * len(OUTCOMES)
    for family, row in sorted(counts.items()):
        yield _row(family, row)
    yield _row("**all**", sum(counts.values(), Counter[str]()))


def _row(name: str, row: Counter[str]) -> str:
    return f"| {name} | {row.total()} | " + " | ".join(str(row[outcome]) for outcome in OUTCOMES) + " |"


def _deviations(deviations: Mapping[str, Any]) -> Iterator[str]:
    yield "## Known deviations"
    yield ""
    known = [(check, case, reason) for check, cases in deviations.items() if isinstance(cases, dict)
             for case, reason in cases.items()]
    if not known:
        yield "None."
    for check, case, reason in known:
        yield f"- {case} ({check}): {reason}"
    yield ""


def _left_out(deviations: Mapping[str, Any]) -> Iterator[str]:
    yield "## Not compared"
    yield ""
    for item in deviations.get("not compared", ()):
        yield f"- {item['what']}: {' '.join(item['why'].split())}"
    yield ""


def _rules() -> Iterator[str]:
    yield "## Rule by rule"
    yield ""
    yield "The rules of Kubernetes 1.36 that the simulator was written from; `python -m tests.rules` prints each with"
    yield "its code and its tests, and [rules.md](rules.md) lists them."
    yield ""
    yield from (f"- {line}" for line in summaries(audit()))
