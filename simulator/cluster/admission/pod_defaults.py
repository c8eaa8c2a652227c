"""Defaults of pods and pod templates (WL-9), the quality-of-service class, and what a pod asks for altogether."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from simulator.api.core import (
    Container,
    EmptyDirVolumeSource,
    PodSpec,
    Probe,
    ResourceRequirements,
    Volume,
)
from simulator.api.meta import evolve
from simulator.units import Quantity, quantity

VOLUME_SOURCES: Final = (
    "empty_dir", "host_path", "git_repo", "gce_persistent_disk", "aws_elastic_block_store", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistent_volume_claim", "rbd", "cinder", "cephfs", "quobyte", "downward_api", "fc",
    "flex_volume", "config_map", "azure_file", "vsphere_volume", "photon_persistent_disk", "portworx_volume",
    "azure_disk", "storageos", "projected", "scale_io", "csi", "ephemeral", "image",
)
"""Fields of a pod's volume that say what it is, in the order in which Kubernetes looks at them."""
volume_sources: Final = attrgetter(*VOLUME_SOURCES)


def default_pod_spec(spec: PodSpec) -> PodSpec:
    """The spec with what the API server fills in; the very same object if nothing was missing (WL-9)."""
    changes: dict[str, Any] = {}
    if not spec.restart_policy:
        changes["restart_policy"] = "Always"
    if spec.termination_grace_period_seconds is None:
        changes["termination_grace_period_seconds"] = 30
    if not spec.scheduler_name:
        changes["scheduler_name"] = "default-scheduler"
    if not spec.dns_policy:
        changes["dns_policy"] = "ClusterFirst"
    on_host = bool(spec.host_network)
    containers = _default_containers(spec.containers, on_host)
    if containers is not spec.containers:
        changes["containers"] = containers
    starters = _default_containers(spec.init_containers, on_host)
    if starters is not spec.init_containers:
        changes["init_containers"] = starters
    volumes = default_volumes(spec.volumes)
    if volumes is not spec.volumes:
        changes["volumes"] = volumes
    if changes:
        spec = evolve(spec, **changes)
    if spec.resources is not None and (spec.resources.limits or spec.resources.requests):
        spec = _default_pod_level(spec, spec.resources)
    return spec


def _default_containers(containers: tuple[Container, ...], on_host: bool) -> tuple[Container, ...]:
    done = tuple(_default_container(container, on_host) for container in containers)
    return containers if all(new is old for new, old in zip(done, containers, strict=True)) else done


def _default_container(container: Container, on_host: bool) -> Container:
    changes: dict[str, Any] = {}
    if not container.image_pull_policy:
        changes["image_pull_policy"] = "Always" if _is_latest(container.image) else "IfNotPresent"
    if any(not port.protocol or (on_host and not port.host_port) for port in container.ports):
        changes["ports"] = tuple(
            evolve(port, protocol=port.protocol or "TCP",
                   host_port=port.host_port or (port.container_port if on_host else 0))
            for port in container.ports
        )
    limits, requests = container.resources.limits, container.resources.requests
    if any(name not in requests for name in limits):
        changes["resources"] = evolve(container.resources, requests={**limits, **requests})
    for name in ("readiness_probe", "liveness_probe", "startup_probe"):
        probe: Probe | None = getattr(container, name)
        if probe is not None and not (
            probe.timeout_seconds and probe.period_seconds and probe.success_threshold and probe.failure_threshold
        ):
            changes[name] = evolve(
                probe, timeout_seconds=probe.timeout_seconds or 1, period_seconds=probe.period_seconds or 10,
                success_threshold=probe.success_threshold or 1, failure_threshold=probe.failure_threshold or 3,
            )
    return evolve(container, **changes) if changes else container


def _is_latest(image: str) -> bool:
    """Whether the tag is ``latest`` or missing; a digest counts as a tag of its own."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag == "latest" or (not tag and not at)


def default_volumes(volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    """Volumes with what is missing: no source at all means an empty directory, an ephemeral claim has a mode."""
    done = tuple(_default_volume(volume) for volume in volumes)
    return volumes if all(new is old for new, old in zip(done, volumes, strict=True)) else done


def _default_volume(volume: Volume) -> Volume:
    if volume.persistent_volume_claim is not None:
        return volume
    if volume.ephemeral is not None:
        template = volume.ephemeral.volume_claim_template
        if template is None or template.spec.volume_mode is not None:
            return volume
        filled = evolve(template, spec=evolve(template.spec, volume_mode="Filesystem"))
        return evolve(volume, ephemeral=evolve(volume.ephemeral, volume_claim_template=filled))
    if any(source is not None for source in volume_sources(volume)):
        return volume
    return evolve(volume, empty_dir=EmptyDirVolumeSource())


def _default_pod_level(spec: PodSpec, resources: ResourceRequirements) -> PodSpec:
    """Requests of the whole pod: those of the containers together, else the pod's own limits."""
    requests = dict(resources.requests)
    for name, amount in containers_total(spec).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, amount)
    for name, amount in resources.limits.items():
        requests.setdefault(name, amount)
    if requests == resources.requests:
        return spec
    return evolve(spec, resources=evolve(resources, requests=requests))


# --- totals -----------------------------------------------------------------------------------------------------------


def plus(left: Quantity | None, right: Quantity) -> Quantity:
    """The sum of two amounts, printed in the format of the first, as Kubernetes does."""
    if left is None or not left.nano:
        return right
    return _printed(left.nano + right.nano, left)


def minus(left: Quantity, right: Quantity) -> Quantity:
    """The difference of two amounts, printed in the format of the first."""
    return _printed(left.nano - right.nano, left)


def _printed(nano: int, like: Quantity) -> Quantity:
    whole, rest = divmod(nano, 10**9)
    if rest:
        return quantity(f"{nano // 10**6}m") if nano % 10**6 == 0 else quantity(f"{nano}n")
    return quantity(f"{whole // 1024}Ki" if like.text[-1:] == "i" and whole % 1024 == 0 else str(whole))


def containers_total(spec: PodSpec, limits: bool = False) -> dict[str, Quantity]:
    """What the containers ask for together.

    Regular containers and sidecars add up; an init container runs beside the sidecars before it; the larger counts.
    """
    total: dict[str, Quantity] = {}
    for container in spec.containers:
        _add(total, _wanted(container, limits))
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in spec.init_containers:
        wanted = _wanted(container, limits)
        if container.restart_policy == "Always":
            _add(sidecars, wanted)
            _add(total, wanted)
            _raise_to(starting, sidecars)
        else:
            beside = dict(sidecars)
            _add(beside, wanted)
            _raise_to(starting, beside)
    _raise_to(total, starting)
    return total


def pod_total(spec: PodSpec, limits: bool = False) -> dict[str, Quantity]:
    """What a pod asks for: its containers, overruled by amounts given for the whole pod, and its overhead."""
    total = containers_total(spec, limits)
    if spec.resources is not None:
        total.update(spec.resources.limits if limits else spec.resources.requests)
    for name, amount in spec.overhead.items():
        if not limits or name in total:
            total[name] = plus(total.get(name), amount)
    return total


def _wanted(container: Container, limits: bool) -> Mapping[str, Quantity]:
    return container.resources.limits if limits else container.resources.requests


def _add(total: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = plus(total.get(name), amount)


def _raise_to(total: dict[str, Quantity], least: Mapping[str, Quantity]) -> None:
    for name, amount in least.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort, from what the containers ask for of cpu and memory."""
    if spec.resources is not None and (spec.resources.requests or spec.resources.limits):
        return _qos((spec.resources,))
    return _qos(container.resources for container in (*spec.containers, *spec.init_containers))


def _qos(all_resources: Iterable[ResourceRequirements]) -> str:
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    guaranteed = True
    for resources in all_resources:
        limited = 0
        for name in ("cpu", "memory"):
            amount = resources.requests.get(name)
            if amount is not None and amount.nano > 0:
                requests[name] = plus(requests.get(name), amount)
            amount = resources.limits.get(name)
            if amount is not None and amount.nano > 0:
                limits[name] = plus(limits.get(name), amount)
                limited += 1
        guaranteed = guaranteed and limited == 2
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"
