"""Manifests to objects: files, folders and standard input in, objects and everything to be said about them out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import msgspec

from simulator.api.meta import Key
from simulator.errors import ManifestError
from simulator.manifests.documents import Complaint, read_documents
from simulator.manifests.loader import MAX_ERRORS, Loaded, Loader, NotSimulated, WithoutEffect, title
from simulator.manifests.origin import Origin, Source
from simulator.manifests.sources import Unreadable, expand
from simulator.manifests.times import EPOCH
from simulator.units import Micros


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """What an input holds, in the order of arguments and documents.

    Attributes
    ----------
    newest : the latest point in time that is written in the input, None if there is none; a run that begins earlier
        sees objects from its future, so load a cluster's dump with an `epoch` that is not before it.
    """

    objects: tuple[Loaded, ...]
    not_simulated: tuple[NotSimulated, ...] = ()
    without_effect: tuple[WithoutEffect, ...] = ()
    warnings: tuple[str, ...] = ()
    newest: Micros | None = None


def load(sources: Sequence[str], stdin: TextIO | None = None, epoch: str = EPOCH) -> Manifests:
    """Read manifests from files, folders and standard input.

    Parameters
    ----------
    sources : names of files and folders (read with everything below them), ``-`` for standard input.
    stdin : what ``-`` reads; the process's own standard input if None.
    epoch : the point in time that is simulated time 0.

    Raises
    ------
    ManifestError
        One line for each error, up to `MAX_ERRORS`: ``file:line: what is wrong. How to mend it.``
    """
    collection = _Collection(Loader(epoch))
    with _without_garbage_collection():
        for text in expand(sources, stdin):
            if len(collection.errors) >= MAX_ERRORS:
                break
            if isinstance(text, Unreadable):
                collection.errors.append(str(text))
            else:
                collection.add(*text)
    return collection.result()


class _Collection:
    """What the texts read so far hold."""

    def __init__(self, loader: Loader) -> None:
        self.errors: list[str] = []
        self._loader = loader
        self._objects: list[Loaded] = []
        self._not_simulated: list[NotSimulated] = []
        self._places: dict[Key, Origin] = {}
        self._empty: list[str] = []

    def add(self, source: Source, content: bytes) -> None:
        """Read one text."""
        is_empty = True
        for document in read_documents(source, content):
            is_empty = False
            if isinstance(document, Complaint):
                self.errors.append(document.message)
                continue
            try:
                taken = self._loader.take(document)
            except ManifestError as error:
                self.errors.extend(str(error).split("\n"))
                if len(self.errors) >= MAX_ERRORS:
                    return
                continue
            if isinstance(taken, NotSimulated):
                self._not_simulated.append(taken)
            else:
                self._add_object(taken)
        if is_empty:
            self._empty.append(source.name)

    def _add_object(self, loaded: Loaded) -> None:
        kind, namespace, name = key = loaded.obj.key
        if not namespace and loaded.obj.NAMESPACED:
            key = Key(kind, "default", name)
        first = self._places.setdefault(key, loaded.origin)
        if first is not loaded.origin:
            self.errors.append(
                f"{loaded.origin}: {title(kind, name)} is given twice; it stands at {first} too. "
                "Remove one of them, or give it another name or namespace."
            )
        self._objects.append(loaded)

    def result(self) -> Manifests:
        """Everything that was read.

        Raises
        ------
        ManifestError
            If anything was wrong, or nothing was there.
        """
        if len(self.errors) > MAX_ERRORS:
            self.errors[MAX_ERRORS:] = ["There are more errors. Mend these first."]
        if self.errors:
            raise ManifestError("\n".join(self.errors))
        if not self._objects and not self._not_simulated:
            where = ", ".join(self._empty[:5]) or "the input"
            raise ManifestError(f"{where}: no object in it. Name files that hold Kubernetes manifests.")
        return Manifests(
            objects=tuple(self._objects),
            not_simulated=tuple(self._not_simulated),
            without_effect=self._loader.without_effect,
            warnings=tuple(f"{name}: no object in it." for name in self._empty),
            newest=self._loader.newest,
        )


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Plain data has no cycles; looking for them costs a tenth of the loading time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
