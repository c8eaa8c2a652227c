"""ImageLocality: prefer nodes that have the pod's images (SC-92)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.api.core import Node, Pod
from simulator.scheduler.framework import MAX_SCORE, NodeInfo, PreFilterResult, ScoreDefaults, Snapshot, skip

NAME: Final = "ImageLocality"
_MIB: Final = 1 << 20
_LEAST: Final = 23 * _MIB
_MOST: Final = 1000 * _MIB


def normalized_image(name: str) -> str:
    """The name with a tag; without one it means ``:latest``."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


class ImageLocality(ScoreDefaults):
    """Scores the size of those images of the pod that a node has, each scaled by how many nodes have it."""

    __slots__ = ()
    name = NAME

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Per node that has any, the scaled size of the pod's images; skipped if there is none, for all would get 0."""
        wanted = [normalized_image(each.image) for each in (*pod.spec.init_containers, *pod.spec.containers)]
        for volume in pod.spec.volumes:
            if isinstance(volume.image, dict) and volume.image.get("reference"):
                wanted.append(normalized_image(volume.image["reference"]))
        sizes = {info.name: _sizes(info.node) for info in snapshot.nodes if info.node.status.images}
        sums: dict[str, int] = {}
        for image in wanted:
            holders = [name for name, images in sizes.items() if image in images]
            for name in holders:
                scaled = int(float(sizes[name][image]) * (float(len(holders)) / float(len(snapshot.nodes))))
                sums[name] = sums.get(name, 0) + scaled
        return PreFilterResult(state=sums) if sums else PreFilterResult(skip(NAME))

    def score(self, state: dict[str, int], pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """The sum between its thresholds, as 0–100."""
        most = _MOST * (len(pod.spec.init_containers) + len(pod.spec.containers))
        total = min(max(state.get(node.name, 0), _LEAST), most)
        return MAX_SCORE * (total - _LEAST) // (most - _LEAST)


def _sizes(node: Node) -> dict[str, int]:
    return {name: image.size_bytes for image in node.status.images for name in image.names}
