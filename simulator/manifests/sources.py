"""What the user named, as texts: files, folders, standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from simulator.manifests.origin import Source
from simulator.manifests.suggest import nearest

STDIN: Final = "-"
STDIN_NAME: Final = "stdin"
SUFFIXES: Final = (".yaml", ".yml", ".json")


class Unreadable(Exception):
    """A source that cannot be read; the message is complete."""


def expand(sources: Sequence[str], stdin: TextIO | None) -> Iterator[tuple[Source, bytes] | Unreadable]:
    """The texts behind the arguments, in order; folders with everything below them, sorted by name.

    Yields
    ------
    A source and its content, or why it cannot be read.
    """
    stdin_used = False
    for name in sources:
        try:
            if name == STDIN:
                if stdin_used:
                    raise Unreadable(f'{STDIN_NAME}: "-" is given twice, but it can be read only once. Name it once.')
                stdin_used = True
                content = _read_stream(stdin if stdin is not None else sys.stdin)
                yield Source(STDIN_NAME, content), content
            elif _is_folder(name):
                yield from _walk(name)
            else:
                yield Source(name), _read_file(name)
        except Unreadable as error:
            yield error


def _read_stream(stream: TextIO) -> bytes:
    buffer = getattr(stream, "buffer", None)
    try:
        return bytes(buffer.read()) if buffer is not None else stream.read().encode()
    except (OSError, ValueError) as error:
        raise Unreadable(f"{STDIN_NAME}: cannot be read ({error}). Pipe manifests into it, or name files.") from None


def _is_folder(name: str) -> bool:
    """Whether a folder has that name.

    Raises
    ------
    Unreadable
        If nothing has it, or nothing that can be read as a file.
    """
    if name.startswith(("http://", "https://")):
        raise Unreadable(f"{name}: addresses are not fetched. Download it and name the file, or pipe it in with -.")
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError) as error:
        raise Unreadable(_why(name, error)) from None
    return stat.S_ISDIR(mode)


def _read_file(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise Unreadable(_why(name, error)) from None


def _why(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        folder, wanted = os.path.split(name)
        try:
            guess = nearest(wanted, sorted(os.listdir(folder or ".")))
        except (OSError, ValueError):
            guess = None
        hint = f"Did you mean {os.path.join(folder, guess)}?" if guess else "Check the path."
        return f"{name or '(empty name)'}: no such file or folder. {hint}"
    if isinstance(error, PermissionError):
        return f"{name}: permission denied. Make it readable for you."
    if "\0" in name:
        return f"{name!r}: a name cannot hold a null character. Check the path."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{name!r}: cannot be read ({reason}). Check the path."


def _walk(folder: str) -> Iterator[tuple[Source, bytes] | Unreadable]:
    """Every manifest below a folder."""
    found = False
    broken: list[Unreadable] = []

    def note(error: OSError) -> None:
        broken.append(Unreadable(_why(str(error.filename), error)))

    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                found = True
                path = os.path.join(parent, name)
                try:
                    yield Source(path), _read_file(path)
                except Unreadable as error:
                    yield error
    yield from broken
    if not found and not broken:
        yield Unreadable(f"{folder}: no *.yaml, *.yml or *.json in this folder. Name another folder, or a file.")
