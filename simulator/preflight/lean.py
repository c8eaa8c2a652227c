"""A cluster without what is only printed: machine ids, addresses, images and labels that nothing goes by.

All of this tells machines apart that are equal in everything that matters, and exploring every run lives on equal
things. Nothing that is left out has an effect on any run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, Pod, PodSpec
from simulator.api.meta import Key, encode_json, evolve
from simulator.api.nodes import HOSTNAME, ZONE, NodeSpec, NodeStatus
from simulator.cluster.admission.apply import LAST_APPLIED
from simulator.manifests.loader import Loaded
from simulator.scheduler.plugins.image_locality import normalized_image

KNOWN_LABELS: Final = frozenset({
    HOSTNAME, ZONE, "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
})
"""Labels of nodes that count without anybody naming them."""


def lean(objects: Sequence[Loaded], new: Sequence[Loaded]) -> tuple[Loaded, ...]:
    """The present objects without what has no effect on any run.

    Parameters
    ----------
    new : what is to be applied; to what is updated nothing is done.
    """
    updated = {item.obj.key for item in new}
    written = b"\n".join(encode_json(item.obj) for item in (*objects, *new) if not isinstance(item.obj, Node))
    images = set(_images((*objects, *new)))
    labels = {
        label for item in objects if isinstance(item.obj, Node) for label in item.obj.metadata.labels
    }
    kept = {label for label in labels if label in KNOWN_LABELS or label.encode() in written}
    return tuple(_lean(item, updated, kept, images) for item in objects)


def _images(objects: Iterable[Loaded]) -> Iterable[str]:
    """The images of all pods that are, or may be made."""
    for item in objects:
        if isinstance(item.obj, Pod):
            yield from _of(item.obj.spec)
        elif isinstance(item.obj, StatefulSet):
            yield from _of(item.obj.spec.template.spec)


def _of(spec: PodSpec) -> Iterable[str]:
    for container in (*spec.init_containers, *spec.containers):
        yield normalized_image(container.image)
    for volume in spec.volumes:
        if isinstance(volume.image, dict) and volume.image.get("reference"):
            yield normalized_image(volume.image["reference"])


def _lean(item: Loaded, updated: Collection[Key], labels: Collection[str], images: Collection[str]) -> Loaded:
    obj = item.obj
    if not obj.metadata.uid or obj.key in updated:
        return item
    meta = obj.metadata
    if isinstance(obj, Node):
        meta = evolve(meta, annotations={}, managed_fields=None, self_link=None,
                      labels={name: value for name, value in meta.labels.items() if name in labels})
        status, spec = obj.status, obj.spec
        node = Node(
            metadata=meta,
            spec=NodeSpec(unschedulable=spec.unschedulable, taints=spec.taints),
            status=NodeStatus(
                capacity=status.capacity, allocatable=status.allocatable, declared_features=status.declared_features,
                conditions=tuple(evolve(each, last_heartbeat_time=None) for each in status.conditions),
                images=tuple(evolve(each, names=names) for each in status.images
                             if (names := tuple(name for name in each.names if name in images))),
            ),
        )
        return evolve(item, obj=node)
    if LAST_APPLIED in meta.annotations or meta.managed_fields is not None or meta.self_link is not None:
        meta = evolve(meta, managed_fields=None, self_link=None, annotations={
            name: value for name, value in meta.annotations.items() if name != LAST_APPLIED})
        return evolve(item, obj=evolve(obj, metadata=meta))
    return item
