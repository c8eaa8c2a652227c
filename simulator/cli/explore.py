"""``bindsim explore``: every possible run."""

from __future__ import annotations

import os
import shlex
import sys
import time  # noqa: TID251 (whoever waits lives in real time)
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.cli import BAD_INPUT, CONVERGED, FAILED, INTERRUPTED, MAY_GET_STUCK, NO_VERDICT, STUCK
from simulator.cli.input import load_input, reader_may_leave, write_log
from simulator.cli.interrupt import heard
from simulator.errors import ScenarioError

if TYPE_CHECKING:
    from simulator.exploration.explore import Exploration
    from simulator.exploration.search import Progress

_CODES = {"always converges": CONVERGED, "may get stuck": MAY_GET_STUCK, "always gets stuck": STUCK}


def main(arguments: Namespace) -> int:
    """Explore every run and print what can become of it; after Ctrl-C what is known so far."""
    from simulator.exploration.explore import explore

    _refuse_files(arguments)
    scenario = load_input(arguments)
    begin = time.monotonic()
    with heard() as is_interrupted, _shown(begin) as progress:

        def must_stop() -> bool:
            if is_interrupted():
                raise KeyboardInterrupt
            return bool(time.monotonic() - begin > arguments.time / 1e6)

        found = explore(
            scenario, ties=arguments.ties, interleavings=arguments.interleavings, lag=arguments.lag,
            faults=arguments.faults, most_states=arguments.states, is_symmetric=not arguments.raw,
            is_reduced=not arguments.raw, must_stop=must_stop, progress=progress,
        )
    problems = list(_written(found, arguments))
    if is_interrupted():
        print(f"interrupted after {found.states} states", file=sys.stderr)
    with reader_may_leave():
        if arguments.output == "json":
            from simulator.report.explore_data import explore_result

            sys.stdout.write(explore_result(found, arguments.full))
        else:
            from simulator.report.explore import print_explore

            print_explore(found, sys.stdout, _again(arguments), arguments.log or "", arguments.full)
        sys.stdout.flush()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if is_interrupted():
        return INTERRUPTED
    if problems:
        return BAD_INPUT
    if found.verdict == "always converges" and any(end.failures for end in found.ends):
        return FAILED
    return _CODES.get(found.verdict, NO_VERDICT)


def _refuse_files(arguments: Namespace) -> None:
    """Better before the work than after it.

    Raises
    ------
    ScenarioError
        If a file cannot be written, or its name says no format.
    """
    from simulator.exploration.export import PICTURES, TEXTS

    if arguments.graph and Path(arguments.graph).suffix.lower() not in (*TEXTS, *PICTURES):
        known = ", ".join((*TEXTS, *PICTURES))
        raise ScenarioError(f"--graph {arguments.graph}: that name says no format. Let it end in one of {known}.")
    for option, name in (("--graph", arguments.graph), ("--log", arguments.log)):
        if not name:
            continue
        path = Path(name)
        if path.is_dir() or not path.absolute().parent.is_dir() or not os.access(
            path if path.exists() else path.absolute().parent, os.W_OK
        ):
            raise ScenarioError(f"{option} {name}: cannot be written. Name a file in a folder that is there.")


def _written(found: Exploration, arguments: Namespace) -> Iterator[str]:
    """Write the files that are asked for; what came between, in words."""
    if arguments.log:
        end = found.foremost
        if end is None:
            yield f"--log {arguments.log}: no end was come to, so there is no run to write"
        else:
            write_log(found.trace(end), arguments.log)
    if arguments.graph:
        try:
            too_large = found.export(Path(arguments.graph))
        except OSError as problem:
            yield f"--graph {arguments.graph}: {problem.strerror}. Name a file that can be written."
        else:
            if too_large is not None:
                yield f"--graph {arguments.graph}: {too_large}"


def _again(arguments: Namespace) -> str:
    """The arguments that say which scenario it is."""
    words = [*arguments.sources]
    for setting in arguments.set:
        words += ["--set", setting]
    if arguments.nodes is not None:
        words += ["--nodes", str(arguments.nodes)]
    if arguments.ties is not None:
        words += ["--ties", arguments.ties]
    return shlex.join(words)


@contextmanager
def _shown(begin: float) -> Iterator[Callable[[Progress], None] | None]:
    """Progress on the terminal, if there is one."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("exploring") as status:

        def show(progress: Progress) -> None:
            seconds = max(time.monotonic() - begin, 1e-3)
            status.update(
                f"{progress.states:,} states, {progress.transitions:,} transitions, {progress.waiting:,} states "
                f"waiting, {progress.transitions / seconds:,.0f} transitions/s, {seconds:.0f}s"
            )

        yield show
