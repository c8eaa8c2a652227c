"""Ctrl-C during long work: the first ends it with what is known so far, a second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def heard() -> Iterator[Callable[[], bool]]:
    """While it lasts, Ctrl-C only makes what it gives true; a second one interrupts as ever."""
    pressed = threading.Event()
    before: Any = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    is_main = threading.current_thread() is threading.main_thread()
    if is_main and before is not None and before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
        try:
            yield pressed.is_set
        finally:
            signal.signal(signal.SIGINT, before)
    else:
        yield pressed.is_set
