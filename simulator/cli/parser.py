"""The arguments of every command."""

from __future__ import annotations

import argparse
from typing import Any

from simulator.version import __version__

_TIES = ("uniform", "go-map", "first", "last")


class _Intermixed(argparse.ArgumentParser):
    """A command whose options may stand between its arguments, as kubectl's may."""

    _is_inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse intermixed; that calls this method again for its two passes."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


def parser() -> argparse.ArgumentParser:
    """The parser of ``bindsim``."""
    main = argparse.ArgumentParser(
        prog="bindsim",
        description="Simulate Kubernetes' stateful scheduling: StatefulSets, volume binding and the scheduler in "
        "virtual time, from ordinary manifests; with a verdict, the placements, and the reason why.",
        epilog="Exit codes: 0 answered, or converges; 1 an expectation failed; 2 bad input; 3 stuck; "
        "4 no verdict; 130 interrupted.",
        allow_abbrev=False,
    )
    main.add_argument("--version", action="version", version=f"bindsim {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Intermixed)
    happenings = "one run: what happened when, placements, verdict, and why"
    _run(commands.add_parser("run", help=happenings, allow_abbrev=False))
    settings = "several settings side by side, over many seeds"
    _compare(commands.add_parser("compare", help=settings, allow_abbrev=False))
    _get(commands.add_parser("get", help="kubectl's tables at any moment of a logged run", allow_abbrev=False))
    _test(commands.add_parser("test", help="run scenarios against what they expect", allow_abbrev=False))
    return main


def _sources(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources", nargs="+", metavar="SCENARIO|MANIFESTS",
        help="a scenario file or its folder; or manifests: files, folders, - for standard input",
    )
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the scenario")
    command.add_argument("--nodes", type=_count, metavar="N", help="add N nodes, node1 to nodeN")
    command.add_argument("--ties", choices=_TIES, help="who wins among equals (default: the scenario's, else uniform)")
    command.add_argument("--until", type=_duration, metavar="TIME", help="go on to this time, such as 1h")


def _run(command: argparse.ArgumentParser) -> None:
    _sources(command)
    command.add_argument("--seed", type=_seed, metavar="N", help="which run (default: the scenario's, else 0)")
    command.add_argument("--full", action="store_true", help="every line of the timeline, however long it is")
    command.add_argument("--log", metavar="FILE", help="write the event log as JSON lines")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    command.set_defaults(command="run")


def _compare(command: argparse.ArgumentParser) -> None:
    _sources(command)
    command.add_argument(
        "--vary", action="append", default=[], metavar="KEY=A,B",
        help="values of a parameter; several --vary make a grid",
    )
    command.add_argument(
        "--seeds", type=_seeds, default=range(1, 101), metavar="A..B", help="which runs (default 1..100)"
    )
    command.add_argument("--jobs", type=_count, metavar="N", help="processes (default: one for each core)")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    command.set_defaults(command="compare")


def _get(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "words", nargs="+", metavar="TYPE[/NAME] [NAME…] LOG",
        help="such as pods,pvc,pv or pod/web-0; names of objects; last the log of a run, - for standard input",
    )
    command.add_argument("-o", "--output", choices=("wide", "yaml", "json", "name"), default="")
    command.add_argument("-n", "--namespace", default="default")
    command.add_argument("-A", "--all-namespaces", action="store_true")
    command.add_argument("--at", type=_duration, metavar="TIME", help="the moment shown (default: the end)")
    command.add_argument(
        "-w", "--watch", action="store_true", help="a row for every change, from --at (or the start) on"
    )
    command.add_argument("--timestamps", action="store_true", help="with -w: the simulated time before each row")
    command.add_argument("--output-watch-events", action="store_true", help="with -w: ADDED, MODIFIED or DELETED")
    command.add_argument("--show-labels", action="store_true")
    command.set_defaults(command="get")


def _test(command: argparse.ArgumentParser) -> None:
    command.add_argument("sources", nargs="*", default=["scenarios"], metavar="DIR|FILE", help="default: scenarios")
    command.add_argument("-v", "--verbose", action="store_true", help="say what was checked")
    command.set_defaults(command="test")


def _count(text: str) -> int:
    number = _seed(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of 1 or more")
    return number


def _seed(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def _seeds(text: str) -> range:
    first, dots, last = text.partition("..")
    start = _seed(first)
    end = _seed(last) if dots else start
    if end < start:
        raise argparse.ArgumentTypeError(f"{text} is empty; write FIRST..LAST, such as 1..1000")
    return range(start, end + 1)


def _duration(text: str) -> int:
    from simulator.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
