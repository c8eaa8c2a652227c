"""Every benchmark, as one table; ``--json`` for records."""

from __future__ import annotations

import argparse
import json
from importlib import import_module

QUESTIONS = ("cold_start", "devil", "whole_run", "loading", "check", "explore")
LONG = ("odds",)
"""Asked by name only."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument(
        "questions", nargs="*", choices=[*QUESTIONS, *LONG, []], help=f"{', '.join(QUESTIONS)}; and {', '.join(LONG)}"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=1000, help="for odds: how many (default 1000)")
    parser.add_argument("--record", action="store_true", help="for odds: keep what came of it in benchmarks/results")
    arguments = parser.parse_args()
    asked = {"odds": {"runs": arguments.runs, "record": arguments.record}}
    rows = [
        row for question in arguments.questions or QUESTIONS
        for row in import_module(f"benchmarks.{question}").rows(**asked.get(question, {}))
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    head = ["name", "figure", "unit", "against", "ratio", "goal", "met"]
    cells = [[f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in head] for row in rows]
    table = [head, *cells]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
