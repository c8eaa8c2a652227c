"""The objects that a run begins with, gathered from files, objects written in place, and generators."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, TextIO

from msgspec import Struct

from simulator.api.core import Namespace, Node
from simulator.api.meta import Key, Object, ObjectMeta, evolve, with_meta
from simulator.api.policy import Lease
from simulator.errors import ManifestError
from simulator.manifests.load import Manifests, load
from simulator.manifests.loader import Loaded, Loader, NotSimulated, WithoutEffect, parse_object
from simulator.manifests.origin import Origin
from simulator.manifests.times import EPOCH, format_time

ALWAYS_THERE = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every cluster has."""


class Initial(Struct, frozen=True):
    """Objects in the order in which they are applied, and what was found beside them.

    Attributes
    ----------
    files : the files and folders that were read.
    epoch : the point in time at which the run begins.
    namespaces : those that objects name and no manifest makes; they are taken to exist.
    completed : what a dump leaves out and the rest of it tells, in words; the objects are among the others.
    """

    objects: tuple[Loaded, ...] = ()
    not_simulated: tuple[NotSimulated, ...] = ()
    without_effect: tuple[WithoutEffect, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    epoch: str = EPOCH
    namespaces: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()

    @property
    def open_nodes(self) -> list[str]:
        """Names of the nodes that neither a taint nor a cordon closes."""
        return [
            item.obj.metadata.name
            for item in self.objects
            if isinstance(item.obj, Node)
            and not item.obj.spec.unschedulable
            and not any(taint.effect != "PreferNoSchedule" for taint in item.obj.spec.taints)
        ]


def from_sources(sources: Sequence[str], stdin: TextIO | None = None, namespace: str = "default") -> Initial:
    """Objects of files, folders and standard input; those without a namespace get `namespace`.

    Raises
    ------
    ManifestError
        One line for each error.
    """
    files = tuple(source for source in sources if source != "-")
    if len(files) < len(sources):
        stdin = StringIO((stdin if stdin is not None else sys.stdin).read())
    manifests = load(sources, stdin)
    if manifests.newest is None or manifests.newest <= 0:
        return placed(manifests, namespace, files)
    # A dump of a cluster: the run begins at the latest moment that it tells of, so that all of it is in the past.
    epoch = format_time(manifests.newest)
    if stdin is not None:
        stdin.seek(0)
    return evolve(placed(load(sources, stdin, epoch), namespace, files), epoch=epoch)


def from_plain(objects: Iterable[dict[str, Any]], origin: Origin, namespace: str = "default") -> Initial:
    """Objects that are plain data already: written in a scenario file, or generated.

    Raises
    ------
    ManifestError
        One line for each error.
    """
    loader = Loader()
    taken = [parse_object(raw, origin, loader) for raw in objects]
    return placed(
        Manifests(
            objects=tuple(item for item in taken if isinstance(item, Loaded)),
            not_simulated=tuple(item for item in taken if isinstance(item, NotSimulated)),
            without_effect=loader.without_effect,
        ),
        namespace,
        (),
    )


def placed(manifests: Manifests, namespace: str, files: tuple[str, ...]) -> Initial:
    """What was read, each object in a namespace if it needs one: `namespace` if it names none."""
    objects = tuple(
        evolve(item, obj=with_meta(item.obj, namespace=namespace))
        if item.obj.NAMESPACED and not item.obj.metadata.namespace
        else item
        for item in manifests.objects
        if not _is_heartbeat(item.obj)
    )
    return Initial(objects, manifests.not_simulated, manifests.without_effect, manifests.warnings, files)


def _is_heartbeat(obj: Object) -> bool:
    """A node's lease in a dump: here a healthy node has none, and one that is there says that the node fell silent."""
    return isinstance(obj, Lease) and obj.metadata.namespace == "kube-node-lease"


def with_namespaces(initial: Initial) -> Initial:
    """The same with a Namespace in front for each that objects name and no manifest makes."""
    made = {item.obj.metadata.name for item in initial.objects if isinstance(item.obj, Namespace)}
    missing: dict[str, Loaded] = {}
    for item in initial.objects:
        name = item.obj.metadata.namespace
        if name and name not in made and name not in ALWAYS_THERE and name not in missing:
            namespace = Namespace(metadata=ObjectMeta(name=name))
            raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            missing[name] = Loaded(obj=namespace, raw=raw, origin=item.origin)
    return evolve(initial, objects=(*missing.values(), *initial.objects), namespaces=tuple(missing))


def together(parts: Sequence[Initial]) -> Initial:
    """All parts in order.

    Raises
    ------
    ManifestError
        If an object is given twice; names both places.
    """
    places: dict[Key, Loaded] = {}
    for item in (item for part in parts for item in part.objects):
        first = places.setdefault(item.obj.key, item)
        if first is not item:
            raise ManifestError(
                f'{item.origin}: {item.obj.KIND} "{item.obj.metadata.name}" is given twice; '
                f"it stands at {first.origin} too. Remove one of them, or give it another name or namespace."
            )
    return Initial(
        tuple(places.values()),
        tuple(item for part in parts for item in part.not_simulated),
        effects_of(parts),
        tuple(warning for part in parts for warning in part.warnings),
        tuple(file for part in parts for file in part.files),
        max(part.epoch for part in parts),
        completed=tuple(words for part in parts for words in part.completed),
    )


def effects_of(parts: Iterable[Initial]) -> tuple[WithoutEffect, ...]:
    """The fields without effect in all parts: each once, with how often and where first."""
    effects: dict[str, WithoutEffect] = {}
    for effect in (effect for part in parts for effect in part.without_effect):
        known = effects.get(effect.field)
        effects[effect.field] = effect if known is None else evolve(known, count=known.count + effect.count)
    return tuple(effects.values())
