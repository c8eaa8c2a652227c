"""The present cluster from its dumps: objects with their state, and everything about the dumps that is strange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.api.core import Pod
from simulator.api.meta import Key, Object, evolve
from simulator.errors import ManifestError
from simulator.manifests.load import Manifests
from simulator.manifests.loader import Loaded, Loader, NotSimulated, Oddity
from simulator.manifests.origin import Origin
from simulator.manifests.times import EPOCH, format_time
from simulator.preflight.result import Trouble
from simulator.preflight.texts import Text
from simulator.scenario.initial import Initial, placed


class _Twins:
    """Objects that stand in the dumps more than once, by how they differ."""

    def __init__(self) -> None:
        self.kept: dict[Key, Loaded] = {}
        self.same: list[Key] = []
        self.newer: list[Key] = []
        self.remade: list[Key] = []
        self.first: dict[str, Origin] = {}

    def add(self, item: Loaded) -> None:
        """Take an object in, or settle which of two is the one.

        Raises
        ------
        ManifestError
            If they are of the same version and differ: somebody has edited one of them.
        """
        key = item.obj.key
        there = self.kept.get(key)
        if there is None:
            self.kept[key] = item
            return
        old, new = there.obj.metadata, item.obj.metadata
        if old.uid == new.uid and old.resource_version == new.resource_version:
            if there.obj != item.obj:
                raise ManifestError(
                    f'{item.origin}: {key.kind} "{key.name}" differs from the one at {there.origin}, and both bear '
                    "the same uid and resourceVersion. If one of the files is what you want to apply, name the present "
                    "cluster with --cluster FILE.")
            self.same.append(key)
            self.first.setdefault("same", item.origin)
            return
        kind, keys = ("newer", self.newer) if old.uid == new.uid else ("remade", self.remade)
        keys.append(key)
        self.first.setdefault(kind, item.origin)
        if (new.creation_timestamp or 0, new.resource_version) > (old.creation_timestamp or 0, old.resource_version):
            self.kept[key] = item

    def troubles(self) -> Iterable[Trouble]:
        """What was settled."""
        for kind, keys, what, taken in (
            ("given-twice", self.same, "stands in the dumps twice, both times the same", "taken once"),
            ("given-twice", self.newer, "stands in the dumps at two moments", "the newer one is taken"),
            ("given-twice", self.remade, "stands in the dumps twice with different uids: it was deleted and made again "
             "between them, or they are dumps of two clusters", "the newer one is taken"),
        ):
            if keys:
                place = self.first["same" if keys is self.same else "newer" if keys is self.newer else "remade"]
                yield Trouble(kind, tuple(map(str, keys)), str(place), what, taken)


def read_present(texts: Sequence[Text]) -> tuple[Initial, list[Trouble]]:
    """The objects of dumps, and what is strange about the dumps as texts.

    The run begins at the latest moment that the dumps tell of, so that all of it is in the past.

    Raises
    ------
    ManifestError
        If an object cannot be used even without its unknown fields.
    """
    epoch = _epoch(texts)
    taken, loader = _take(texts, Loader(epoch, is_dump=True))
    if loader.newest is not None and loader.newest > 0:  # a time zone, or a moment that only looks like text
        epoch = format_time(loader.newest, epoch)
        taken, loader = _take(texts, Loader(epoch, is_dump=True))
    elif epoch != EPOCH and loader.newest is not None and loader.newest < 0:
        later = max(format_time(loader.newest, epoch), EPOCH)
        if later != epoch:
            epoch = later
            taken, loader = _take(texts, Loader(epoch, is_dump=True))
    objects = [item for item in taken if isinstance(item, Loaded)]
    manifests = Manifests(
        objects=tuple(objects),
        not_simulated=tuple(item for item in taken if isinstance(item, NotSimulated)),
        without_effect=(),  # what a server has filled in is nobody's wish
    )
    initial = placed(manifests, "default", tuple(text.name for text in texts))
    twins = _Twins()
    gone: list[Loaded] = []
    for item in initial.objects:
        if _is_gone(item.obj):
            gone.append(item)
        else:
            twins.add(item)
    troubles = [*(_empty(text) for text in texts if not text.documents), *twins.troubles(), *_gone(gone),
                *map(_oddity, loader.oddities)]
    return evolve(initial, objects=tuple(twins.kept.values()), epoch=epoch), troubles


def _is_gone(obj: Object) -> bool:
    """Whether nothing holds an object that is being deleted: the API server has no such object for long.

    Only a kubelet's last word holds a pod without finalizers.
    """
    return obj.metadata.is_terminating and not obj.metadata.finalizers and not isinstance(obj, Pod)


def _gone(items: Sequence[Loaded]) -> Iterable[Trouble]:
    if items:
        yield Trouble("gone-by-now", tuple(str(item.obj.key) for item in items), str(items[0].origin),
                      "is being deleted, and no finalizer holds it", "left out: it is gone by now")


def _epoch(texts: Sequence[Text]) -> str:
    """The latest moment that is written anywhere, which nearly always is the latest of a field."""
    return max(EPOCH, *(text.latest[:19] + "Z" for text in texts if text.latest)) if any(
        text.latest for text in texts) else EPOCH


def _take(texts: Sequence[Text], loader: Loader) -> tuple[list[Loaded | NotSimulated], Loader]:
    return [loader.take(document) for text in texts for document in text.documents], loader


def _empty(text: Text) -> Trouble:
    return Trouble("empty-dump", (), text.name, f"{text.name} holds no object",
                   "nothing of it is in the cluster; if it should not be empty, look at what kubectl said")


def _oddity(oddity: Oddity) -> Trouble:
    times = f" ({oddity.count} times)" if oddity.count > 1 else ""
    return Trouble("unknown-to-1.36", (), str(oddity.origin), oddity.what + times, oddity.taken)
