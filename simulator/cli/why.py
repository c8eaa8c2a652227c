"""``bindsim why``: why a run is stuck, with the proof, and what mends it."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from pathlib import Path

from simulator.api.kinds import find_kind
from simulator.cli import CONVERGED
from simulator.cli.input import reader_may_leave
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.scenario.load import Scenario

_LOG = b'{"bindsim-log"'


def main(arguments: Namespace) -> int:
    """Explain the run, and write the graph if one is asked for."""
    from simulator.diagnosis.explain import explain

    sources = [source for source in arguments.sources if not _is_object(source)]
    objects = [source for source in arguments.sources if _is_object(source)]
    if not sources:
        raise ScenarioError("bindsim why: name a scenario, manifests or the log of a run before the objects.")
    what = _read(arguments, sources)
    found = explain(what, seed=arguments.seed, ties=arguments.ties, objects=objects)
    if arguments.dot:
        _write(arguments.dot, "--dot", found.graph.dot().encode())
    if arguments.graphml:
        import networkx  # type: ignore[import-untyped]

        text = io.BytesIO()
        networkx.write_graphml(found.graph.graph(), text)
        _write(arguments.graphml, "--graphml", text.getvalue())
    with reader_may_leave():
        if arguments.output == "json":
            from simulator.report.why import why_result

            sys.stdout.write(why_result(found))
        else:
            from simulator.report.why import print_why

            print_why(found, sys.stdout, arguments.full)
        sys.stdout.flush()
    return CONVERGED


def _is_object(source: str) -> bool:
    """Whether an argument names an object, such as ``pod/web-1``, and no file."""
    kind, slash, name = source.partition("/")
    return bool(slash and name) and find_kind(kind) is not None and not Path(source).exists()


def _read(arguments: Namespace, sources: list[str]) -> Scenario | Log:
    """The log that is named, or the scenario."""
    from simulator.eventlog import read_log
    from simulator.scenario.load import load_scenario
    from simulator.scenario.parameters import parse_setting

    settings = dict(parse_setting(written) for written in arguments.set)
    stdin = sys.stdin
    if sources == ["-"]:
        content = sys.stdin.buffer.read()
        if content.startswith(_LOG):
            return _log(arguments, read_log(io.BytesIO(content), "standard input"))
        stdin = io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape")
    elif len(sources) == 1 and _begins_a_log(sources[0]):
        with open(sources[0], "rb") as file:
            return _log(arguments, read_log(file, sources[0]))
    return load_scenario(sources, settings, arguments.nodes, stdin)


def _log(arguments: Namespace, log: Log) -> Log:
    """A log has its seed and everything else already."""
    given = [name for name in ("seed", "ties", "nodes", "set") if getattr(arguments, name) not in (None, [])]
    if given:
        raise ScenarioError(f"--{given[0]}: a log tells of one run, which is over. Give the scenario itself instead.")
    return log


def _begins_a_log(source: str) -> bool:
    try:
        with open(source, "rb") as file:
            return file.read(len(_LOG)) == _LOG or source.endswith(".jsonl")
    except OSError:
        return False


def _write(path: str, option: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as problem:
        raise ScenarioError(f"{option} {path}: {problem.strerror}. Name a file that can be written.") from None
