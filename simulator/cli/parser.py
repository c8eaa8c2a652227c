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
        "4 no verdict; 5 may get stuck; 130 interrupted.",
        allow_abbrev=False,
    )
    main.add_argument("--version", action="version", version=f"bindsim {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Intermixed)
    happenings = "one run: what happened when, placements, verdict, and why"
    _run(commands.add_parser("run", help=happenings, allow_abbrev=False))
    settings = "several settings side by side, over many seeds"
    _compare(commands.add_parser("compare", help=settings, allow_abbrev=False))
    every = "every possible run: all ends, exact chances, and the shortest run that gets stuck"
    _explore(commands.add_parser("explore", help=every, allow_abbrev=False))
    likely = "how likely it is to get stuck: exact where a closed form holds, else from many runs"
    _odds(commands.add_parser("odds", help=likely, allow_abbrev=False))
    proof = "why something is stuck, with the proof, and what mends it"
    _why(commands.add_parser("why", help=proof, allow_abbrev=False))
    before = "before you apply: a dump of the cluster and the manifests in, verdict and odds out"
    _check(commands.add_parser("check", help=before, allow_abbrev=False))
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


def _explore(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources", nargs="+", metavar="SCENARIO|MANIFESTS",
        help="a scenario file or its folder; or manifests: files, folders, - for standard input",
    )
    command.add_argument(
        "--interleavings", choices=("ties", "syncs", "writes"), default="ties",
        help="ties: what comes first is done first (default); syncs: whichever component can act acts next; writes: "
        "so, and each API call is a step",
    )
    command.add_argument(
        "--lag", type=_seed, default=0, metavar="K", help="with writes: caches are up to K changes behind (default 0)"
    )
    command.add_argument(
        "--faults", type=_seed, default=0, metavar="K",
        help="up to K API calls fail, or succeed with the answer lost (default 0)",
    )
    command.add_argument(
        "--ties", choices=_TIES, help="how ties are weighed (default: the scenario's policy, else uniform)"
    )
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the scenario")
    command.add_argument("--nodes", type=_count, metavar="N", help="add N nodes, node1 to nodeN")
    command.add_argument(
        "--states", type=_many, default=100_000, metavar="N", help="stop after N states (default 100000)"
    )
    command.add_argument(
        "--time", type=_duration, default=60_000_000, metavar="TIME", help="stop after this time (default 60s)"
    )
    command.add_argument(
        "--graph", metavar="FILE", help="write the graph of states: .graphml, .dot, or a picture: .png, .svg, .pdf"
    )
    command.add_argument(
        "--log", metavar="FILE", help="write the log of the shortest run that gets stuck (else: into the first end)"
    )
    command.add_argument("--raw", action="store_true", help="no symmetry and no reduction: every state by itself")
    command.add_argument("--full", action="store_true", help="every end, each with its shortest run")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    command.set_defaults(command="explore")


def _odds(command: argparse.ArgumentParser) -> None:
    _sources(command)
    command.add_argument(
        "--runs", type=_many, metavar="N", help="make N runs, such as 1e6; also where a closed form holds"
    )
    command.add_argument(
        "--precision", type=_share, metavar="P",
        help="make runs until the odds are known to within ±P, such as 0.01 or 1%% (default, without --runs and "
        "without a closed form: 0.02); with --runs, N at the most",
    )
    command.add_argument(
        "--confidence", type=_share, default=0.95, metavar="C", help="how sure the intervals are (default 0.95)"
    )
    command.add_argument("--seed", type=_seed, default=0, metavar="ROOT", help="root of the runs' seeds (default 0)")
    command.add_argument("--jobs", type=_count, metavar="N", help="processes (default: one for each core)")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    command.set_defaults(command="odds")


def _check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources", nargs="*", metavar="DUMP|MANIFESTS",
        help="what is about to be applied: files, folders, - for standard input; lists with uids, as "
        "`kubectl get nodes,sc,pv,pvc,sts,pods,pdb,csistoragecapacity -A -o yaml` prints them, are the present cluster",
    )
    command.add_argument(
        "--cluster", action="append", default=[], metavar="DUMP", help="the present cluster, if it is to be said"
    )
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of a scenario")
    command.add_argument("--nodes", type=_count, metavar="N", help="add N nodes to the cluster, node1 to nodeN")
    command.add_argument("--ties", choices=_TIES, help="who wins among equals (default: uniform)")
    command.add_argument("--seed", type=_seed, metavar="N", help="the first run, where runs are sampled (default 0)")
    command.add_argument(
        "--max-odds", type=_share, metavar="P", help="accept that it gets stuck this often, such as 1%% or 0.01"
    )
    command.add_argument(
        "--precision", type=_share, metavar="P", help="where runs are sampled, so many that the odds are ±P"
    )
    command.add_argument(
        "--patience", type=_duration, default=10_000_000, metavar="TIME",
        help="look for so long at the most (default 10s); what is not proven by then is said to be sampled",
    )
    command.add_argument("-o", "--output", choices=("text", "json", "junit"), default="text")
    command.add_argument("--junit", metavar="FILE", help="write JUnit XML too")
    command.set_defaults(command="check")


def _why(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources", nargs="+", metavar="SCENARIO|MANIFESTS|LOG [KIND/NAME]",
        help="a scenario, manifests, or the log of a run; - for standard input; objects, such as pod/web-1, to be told "
        "of these only",
    )
    command.add_argument("--seed", type=_seed, metavar="N", help="which run (default: the first of 50 that gets stuck)")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the scenario")
    command.add_argument("--nodes", type=_count, metavar="N", help="add N nodes, node1 to nodeN")
    command.add_argument("--ties", choices=_TIES, help="who wins among equals (default: the scenario's, else uniform)")
    command.add_argument("--full", action="store_true", help="every core, every rule, every repair")
    command.add_argument("--dot", metavar="FILE", help="write the wait-for graph for Graphviz")
    command.add_argument("--graphml", metavar="FILE", help="write the wait-for graph as GraphML")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    command.set_defaults(command="why")


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


def _many(text: str) -> int:
    """A number of runs; 1e6 is easier to read than 1000000."""
    try:
        number = float(text)
    except ValueError:
        return _count(text)
    if not 1 <= number <= 1e15 or number != int(number):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(number)


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


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share; write one such as 1% or 0.01")
    return share


def _duration(text: str) -> int:
    from simulator.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
