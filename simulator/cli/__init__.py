"""The command line: arguments in, one public call, exit code out. No logic.

Exit codes: 0 answered, or converges; 1 an expectation failed; 2 bad input; 3 stuck; 4 no verdict; 5 may get stuck;
70 a defect of bindsim; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from simulator.errors import InvariantViolated, SimulatorError

CONVERGED, FAILED, BAD_INPUT, STUCK, NO_VERDICT, MAY_GET_STUCK, DEFECT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : arguments without the program's name; the process's own if not given.

    Returns
    -------
    The exit code.
    """
    from simulator.cli.parser import parser

    arguments = parser().parse_args(argv)
    try:
        code: int = import_module(f"simulator.cli.{arguments.command}").main(arguments)
        sys.stdout.flush()
        return code
    except InvariantViolated as defect:
        sys.stdout.flush()
        print(f"internal error: {defect}", file=sys.stderr)
        print("This is a defect of bindsim, not of your input. Please report it.", file=sys.stderr)
        return DEFECT
    except SimulatorError as problem:
        sys.stdout.flush()
        print("\n".join(f"error: {line}" for line in str(problem).splitlines()), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        leave_quietly()
        return CONVERGED
    except OSError as problem:
        leave_quietly()
        print(f"error: the answer cannot be written: {problem.strerror}", file=sys.stderr)
        return BAD_INPUT


def leave_quietly() -> None:
    """Nobody reads any more: keep the interpreter from complaining at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
