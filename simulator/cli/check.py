"""``bindsim check``: before you apply."""

from __future__ import annotations

import sys
import time  # noqa: TID251 (whoever waits lives in real time)
from argparse import Namespace

from simulator.cli import BAD_INPUT, CONVERGED, FAILED, INTERRUPTED, MAY_GET_STUCK, NO_VERDICT, STUCK
from simulator.cli.input import reader_may_leave
from simulator.cli.interrupt import heard
from simulator.errors import ScenarioError
from simulator.scenario.parameters import parse_setting
from simulator.units import SECOND

_CODES = {"always converges": CONVERGED, "may get stuck": MAY_GET_STUCK, "always gets stuck": STUCK}


def main(arguments: Namespace) -> int:
    """Check manifests against the present cluster and print what becomes of them."""
    from simulator.preflight.check import check

    with heard() as is_interrupted:
        found = check(
            arguments.sources, cluster=arguments.cluster, nodes=arguments.nodes, seed=arguments.seed,
            settings=dict(parse_setting(written) for written in arguments.set), ties=arguments.ties,
            precision=arguments.precision, max_odds=arguments.max_odds, stdin=sys.stdin, must_stop=is_interrupted,
            clock=time.monotonic, patience=arguments.patience / SECOND,
        )
        is_cut_short = is_interrupted() and not found.is_proven
    if is_cut_short:
        print("interrupted", file=sys.stderr)
    if arguments.junit:
        from simulator.report.junit import junit

        try:
            with open(arguments.junit, "w", encoding="utf-8") as file:
                file.write(junit(found))
        except OSError as problem:
            raise ScenarioError(
                f"--junit {arguments.junit}: {problem.strerror}. Name a file that can be written.") from None
    with reader_may_leave():
        if arguments.output == "json":
            from simulator.report.check import check_result

            sys.stdout.write(check_result(found))
        elif arguments.output == "junit":
            from simulator.report.junit import junit

            sys.stdout.write(junit(found))
        else:
            from simulator.report.check import print_check

            print_check(found, sys.stdout)
        sys.stdout.flush()
    if is_cut_short:
        return INTERRUPTED
    if found.refused:
        return BAD_INPUT
    if found.failures and found.verdict == "always converges":
        return FAILED
    return CONVERGED if found.is_accepted else _CODES.get(found.verdict, NO_VERDICT)
