"""Every benchmark, as one table; ``--json`` for records."""

from __future__ import annotations

import argparse
import json
from importlib import import_module

QUESTIONS = ("cold_start", "devil", "whole_run", "loading")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("questions", nargs="*", choices=[*QUESTIONS, []], help=", ".join(QUESTIONS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        row for question in arguments.questions or QUESTIONS for row in import_module(f"benchmarks.{question}").rows()
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
