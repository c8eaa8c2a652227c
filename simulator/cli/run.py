"""``bindsim run``: one run, reported."""

from __future__ import annotations

import sys
from argparse import Namespace

from simulator.cli import CONVERGED, FAILED, NO_VERDICT, STUCK
from simulator.cli.input import load_input, reader_may_leave, write_log


def main(arguments: Namespace) -> int:
    """Run a scenario once and print what became of it."""
    from simulator.simulation import run

    result = run(load_input(arguments), seed=arguments.seed, ties=arguments.ties, until=arguments.until)
    if arguments.log:
        write_log(result.log, arguments.log)
    with reader_may_leave():
        if arguments.output == "json":
            from simulator.report.data import run_result

            sys.stdout.write(run_result(result.log))
        else:
            from simulator.report.text import print_run

            print_run(result.log, sys.stdout, arguments.full)
        sys.stdout.flush()
    if result.verdict == "converged":
        return FAILED if result.failures else CONVERGED
    return STUCK if result.verdict == "stuck" else NO_VERDICT
