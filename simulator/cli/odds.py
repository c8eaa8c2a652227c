"""``bindsim odds``: how likely it is to get stuck."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simulator.cli import CONVERGED, INTERRUPTED
from simulator.cli.input import load_input, reader_may_leave
from simulator.cli.interrupt import heard

if TYPE_CHECKING:
    from simulator.sampling.tally import Progress


def main(arguments: Namespace) -> int:
    """Work the odds out, or sample them, and print them; after Ctrl-C what is known so far."""
    from simulator.sampling.odds import odds

    scenario = load_input(arguments)
    with heard() as is_interrupted, _shown() as progress:
        found = odds(
            scenario, runs=arguments.runs, precision=arguments.precision, seed=arguments.seed, ties=arguments.ties,
            until=arguments.until, jobs=arguments.jobs, confidence=arguments.confidence, progress=progress,
            must_stop=is_interrupted,
        )
    if found.stopped == "interrupted":
        print(f"interrupted after {found.runs} runs", file=sys.stderr)
    with reader_may_leave():
        if arguments.output == "json":
            from simulator.report.odds import odds_result

            sys.stdout.write(odds_result(found))
        else:
            from simulator.report.odds import print_odds

            print_odds(found, sys.stdout, lambda seed: _again(arguments, seed))
        sys.stdout.flush()
    return INTERRUPTED if found.stopped == "interrupted" else CONVERGED


def _again(arguments: Namespace, seed: int) -> str:
    """The command that makes one of the runs again."""
    words = ["bindsim", "run", *arguments.sources]
    for setting in arguments.set:
        words += ["--set", setting]
    if arguments.nodes is not None:
        words += ["--nodes", str(arguments.nodes)]
    if arguments.ties is not None:
        words += ["--ties", arguments.ties]
    if arguments.until is not None:
        words += ["--until", f"{arguments.until}us"]
    return shlex.join([*words, "--seed", str(seed)])


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """Progress on the terminal, if there is one."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.completed} of about {task.total} runs"), BarColumn(), TimeRemainingColumn(),
               TextColumn("{task.description}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=None)

        def show(progress: Progress) -> None:
            stuck = f"stuck: {100 * progress.low:.1f} % to {100 * progress.high:.1f} %"
            bars.update(bar, completed=progress.runs, total=progress.total, description=stuck)

        yield show
