"""Work spread over processes: results in the order of the work, whatever finishes first."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from simulator.errors import SimulatorError

Item = TypeVar("Item")
Result = TypeVar("Result")
Shared = TypeVar("Shared")

AHEAD: Final = 3
"""So many items a process are handed out before their turn, so that no process waits for another."""
_LOOK: Final = 0.1
"""Seconds after which somebody who waits for a result asks whether to go on."""
_shared: Any = None
"""In a process: what all its items have in common."""


def never() -> bool:
    """Nobody ever wants to stop."""
    return False


def in_order(
    work: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item], workers: int,
    must_stop: Callable[[], bool] = never,
) -> Iterator[Result]:
    """Carry out work on items, several at once; in this process if there is to be one only.

    Parameters
    ----------
    work : a function of a module, of what all items have in common and of the item.
    shared : what they have in common; it is sent to each process once.
    items : as many as wanted, without end too; they are asked for as they are needed.
    must_stop : asked between results; when it is true the results end, and work under way is dropped.

    Yields
    ------
    One result for each item, in their order.

    Raises
    ------
    SimulatorError
        If a process dies; and whatever the work raises.
    """
    if workers == 1:
        for item in items:
            if must_stop():
                return
            yield work(shared, item)
        return
    yield from _over_processes(work, shared, iter(items), workers, must_stop)


def _over_processes(
    work: Callable[[Shared, Item], Result], shared: Shared, items: Iterator[Item], workers: int,
    must_stop: Callable[[], bool],
) -> Iterator[Result]:
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (shared,))
    under_way: deque[Future[Result]] = deque()

    def hand_out() -> None:
        while len(under_way) < workers * AHEAD:
            for item in items:
                with _unheard():  # a process that is just starting must not hear Ctrl-C either
                    under_way.append(pool.submit(_carry_out, work, item))
                break
            else:
                return

    try:
        hand_out()
        while under_way:
            while not under_way[0].done():
                if must_stop():
                    return
                _wait(under_way[0])
            if must_stop():
                return
            result = under_way.popleft().result()
            hand_out()
            yield result
    except BrokenProcessPool:
        raise SimulatorError(
            "a process of bindsim ended before its work was done; there may be too little memory for so many. "
            "Give fewer --jobs."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _wait(future: Any) -> None:
    from concurrent.futures import wait

    wait((future,), _LOOK)


def _begin(shared: Any) -> None:
    """The start of a process; on Ctrl-C its parent decides what becomes of it."""
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _carry_out(work: Callable[[Any, Item], Result], item: Item) -> Result:
    return work(_shared, item)


@contextmanager
def _unheard() -> Iterator[None]:
    """Ctrl-C is heard afterwards; processes that are started meanwhile do not hear it at all."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
