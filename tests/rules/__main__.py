"""`python -m tests.rules`: the table rule → code → tests → state; exit code 1 when it has problems."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.rules import report
from tests.rules.audit import audit
from tests.rules.scan import ROOT


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules", description=__doc__)
    parser.add_argument("--missing", action="store_true", help="only what is wrong")
    page = ROOT / "docs" / "rules.md"
    written = "write docs/rules.md, or FILE"
    parser.add_argument("--markdown", nargs="?", type=Path, const=page, metavar="FILE", help=written)
    parser.add_argument("--only", metavar="TEXT", help="with --missing: only lines that begin so, e.g. WL-")
    arguments = parser.parse_args()
    found = audit()
    if arguments.markdown:
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(report.markdown(found), encoding="utf-8")
    elif not arguments.missing:
        print(report.text(found))
    problems = [problem for problem in found.problems if problem.startswith(arguments.only or "")]
    for problem in problems:
        print(problem, file=sys.stdout if arguments.missing else sys.stderr)
    print(f"{len(problems)} problems" if problems else "no problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
