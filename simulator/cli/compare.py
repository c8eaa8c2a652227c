"""``bindsim compare``: several settings side by side."""

from __future__ import annotations

import sys
from argparse import Namespace

from simulator.cli import CONVERGED
from simulator.cli.input import load_input
from simulator.scenario.parameters import parse_setting


def main(arguments: Namespace) -> int:
    """Run a scenario under every combination of values, over the same seeds, and print one table."""
    from simulator.comparison import compare, grid

    fixed = dict(parse_setting(written) for written in arguments.set)
    rows = compare(
        arguments.sources, [{**fixed, **setting} for setting in grid(arguments.vary)], arguments.seeds,
        nodes=arguments.nodes, ties=arguments.ties, until=arguments.until, jobs=arguments.jobs,
        progress=_progress if sys.stderr.isatty() else lambda done, total: None,
    )
    if arguments.output == "json":
        from simulator.report.data import compare_result

        sys.stdout.write(compare_result(rows, arguments.seeds))
    else:
        from simulator.report.compare import compare_table

        seeds = f"seeds {arguments.seeds[0]}..{arguments.seeds[-1]}" if len(arguments.seeds) > 1 else "one seed"
        print(f"ties {arguments.ties or load_input(arguments, rows[0].settings).spec.ties}, {seeds}")
        print("\n".join(compare_table(rows)))
    return CONVERGED


def _progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} runs", end="\n" if done == total else "", file=sys.stderr, flush=True)
