"""What several commands share: reading the input, writing a log."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.cli import leave_quietly
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.scenario.load import Scenario, load_scenario
from simulator.scenario.parameters import parse_setting


def load_input(arguments: Namespace, settings: dict[str, str] | None = None) -> Scenario:
    """The scenario that the arguments name."""
    given = dict(parse_setting(written) for written in arguments.set)
    return load_scenario(arguments.sources, {**given, **(settings or {})}, arguments.nodes, sys.stdin)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Whoever reads the output may have seen enough, as ``head`` does; the exit code stays that of the run."""
    try:
        yield
    except BrokenPipeError:
        leave_quietly()


def write_log(log: Log, path: str) -> None:
    """Write a log as JSON lines.

    Raises
    ------
    ScenarioError
        If the file cannot be written.
    """
    try:
        with open(path, "wb") as file:
            file.writelines(log.lines())
    except OSError as problem:
        raise ScenarioError(f"--log {path}: {problem.strerror}. Name a file that can be written.") from None


def read_log_file(path: str) -> Log:
    """Read a log from a file, or from standard input for "-".

    Raises
    ------
    ScenarioError
        If the file cannot be read.
    """
    from simulator.eventlog import read_log

    try:
        if path == "-":
            return read_log(sys.stdin.buffer, "standard input")
        with open(path, "rb") as file:
            return read_log(file, path)
    except OSError as problem:
        raise ScenarioError(f"{path}: {problem.strerror}. Give the file that `bindsim run --log` wrote.") from None
