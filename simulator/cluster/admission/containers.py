"""Containers and volumes of a pod: what is wrong with them."""

from __future__ import annotations

from collections.abc import Container as Holds
from collections.abc import Mapping
from typing import Final

from simulator.api.core import Container, PodSpec, Probe, ResourceRequirements, Volume
from simulator.api.meta import camel
from simulator.cluster.admission.names import label_name, qualified_name, subdomain_name
from simulator.cluster.admission.pod_defaults import VOLUME_SOURCES, volume_sources
from simulator.cluster.admission.refusals import (
    NOT_NEGATIVE,
    duplicate,
    forbidden_field,
    invalid,
    not_found_value,
    required,
    unsupported,
)
from simulator.cluster.admission.storage import claim_spec_errors
from simulator.units import Quantity

_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_PULL: Final = ("Always", "IfNotPresent", "Never")
_STANDARD: Final = ("cpu", "memory", "ephemeral-storage", "storage")
_PORT: Final = "must be between 1 and 65535, inclusive"


def volumes_errors(volumes: tuple[Volume, ...], pod_name: str) -> list[str]:
    """What is wrong with a pod's volumes: names once each, one source each."""
    errors: list[str] = []
    made = [f"{pod_name}-{volume.name}" for volume in volumes if volume.ephemeral is not None]
    seen: list[str] = []
    for number, volume in enumerate(volumes):
        name = volume.name
        claim = volume.persistent_volume_claim
        usual = claim is not None and claim.claim_name and volume_sources(volume).count(None) == len(VOLUME_SOURCES) - 1
        if not usual:
            errors += _source_errors(volume, f"spec.volumes[{number}]", pod_name)
        if not name:
            errors.append(required(f"spec.volumes[{number}].name"))
        elif found := label_name(name):
            errors += [invalid(f"spec.volumes[{number}].name", name, why) for why in found]
        if name in seen:
            errors.append(duplicate(f"spec.volumes[{number}].name", name))
        seen.append(name)
        if claim is not None and claim.claim_name in made:
            errors.append(invalid(f"spec.volumes[{number}].persistentVolumeClaim.claimName", claim.claim_name,
                                  "must not reference a PVC that gets created for an ephemeral volume"))
    return errors


def _source_errors(volume: Volume, path: str, pod_name: str) -> list[str]:
    named = [source for source, value in zip(VOLUME_SOURCES, volume_sources(volume), strict=True) if value is not None]
    errors = [] if named else [required(path, "must specify a volume type")]
    errors += [
        forbidden_field(f"{path}.{camel(extra)}", "may not specify more than 1 volume type") for extra in named[1:]]
    claim, ephemeral, scratch = volume.persistent_volume_claim, volume.ephemeral, volume.empty_dir
    if claim is not None and not claim.claim_name:
        errors.append(required(f"{path}.persistentVolumeClaim.claimName"))
    if scratch is not None and scratch.size_limit is not None and scratch.size_limit.nano < 0:
        errors.append(forbidden_field(
            f"{path}.emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity"))
    if ephemeral is not None:
        template = ephemeral.volume_claim_template
        if template is None:
            errors.append(required(f"{path}.ephemeral.volumeClaimTemplate"))
        else:
            errors += claim_spec_errors(template.spec, f"{path}.ephemeral.volumeClaimTemplate.spec")
        claim_name = f"{pod_name}-{volume.name}"
        errors += [invalid(f"{path}.name", volume.name, f'PVC name "{claim_name}": {why}')
                   for why in subdomain_name(claim_name)]
    return errors


def containers_errors(spec: PodSpec) -> list[str]:
    """What is wrong with the containers of a pod: those that run, and those that run before."""
    errors = [] if spec.containers else [required("spec.containers")]
    volumes = [volume.name for volume in spec.volumes]
    names: list[str] = []
    for number, container in enumerate(spec.containers):
        path = f"spec.containers[{number}]"
        errors += _container_errors(container, path, volumes)
        if container.name in names:
            errors.append(duplicate(f"{path}.name", container.name))
        names.append(container.name)
        for field, probe in (("livenessProbe", container.liveness_probe), ("readinessProbe", container.readiness_probe),
                             ("startupProbe", container.startup_probe)):
            if probe is not None:
                errors += _probe_errors(probe, f"{path}.{field}", field)
    errors += _host_port_errors(spec.containers)
    for number, container in enumerate(spec.init_containers):
        path = f"spec.initContainers[{number}]"
        errors += _container_errors(container, path, volumes)
        if container.name in names:
            errors.append(duplicate(f"{path}.name", container.name))
        names.append(container.name)
        if container.restart_policy == "Always":
            continue
        errors += [forbidden_field(f"{path}.{field}", "may not be set for init containers without restartPolicy=Always")
                   for field, value in (("lifecycle", container.lifecycle), ("livenessProbe", container.liveness_probe),
                                        ("readinessProbe", container.readiness_probe),
                                        ("startupProbe", container.startup_probe)) if value is not None]
    return errors


def _container_errors(container: Container, path: str, volumes: Holds[str]) -> list[str]:
    errors: list[str] = []
    if not container.name:
        errors.append(required(f"{path}.name"))
    elif found := label_name(container.name):
        errors += [invalid(f"{path}.name", container.name, why) for why in found]
    if not container.image:
        errors.append(required(f"{path}.image"))
    elif container.image != container.image.strip():
        errors.append(invalid(f"{path}.image", container.image, "must not have leading or trailing whitespace"))
    for number, port in enumerate(container.ports):
        here = f"{path}.ports[{number}]"
        if not port.container_port:
            errors.append(required(f"{here}.containerPort"))
        elif not 1 <= port.container_port <= 65535:
            errors.append(invalid(f"{here}.containerPort", port.container_port, _PORT))
        if port.host_port and not 1 <= port.host_port <= 65535:
            errors.append(invalid(f"{here}.hostPort", port.host_port, _PORT))
        if port.protocol not in _PROTOCOLS:
            errors.append(unsupported(f"{here}.protocol", port.protocol, _PROTOCOLS))
    paths: list[str] = []
    for number, mount in enumerate(container.volume_mounts):
        here = f"{path}.volumeMounts[{number}]"
        if not mount.name:
            errors.append(required(f"{here}.name"))
        if mount.name not in volumes:
            errors.append(not_found_value(f"{here}.name", mount.name))
        if not mount.mount_path:
            errors.append(required(f"{here}.mountPath"))
        if mount.mount_path in paths:
            errors.append(invalid(f"{here}.mountPath", mount.mount_path, "must be unique"))
        paths.append(mount.mount_path)
    if container.image_pull_policy not in _PULL:
        errors.append(unsupported(f"{path}.imagePullPolicy", container.image_pull_policy, _PULL))
    return errors + resources_errors(container.resources, f"{path}.resources")


def _probe_errors(probe: Probe, path: str, field: str) -> list[str]:
    errors: list[str] = []
    if all(way is None for way in (probe.exec, probe.http_get, probe.tcp_socket, probe.grpc)):
        errors.append(required(path, "must specify a handler type"))
    errors += [
        invalid(f"{path}.{name}", value, NOT_NEGATIVE)
        for name, value in (
            ("initialDelaySeconds", probe.initial_delay_seconds), ("timeoutSeconds", probe.timeout_seconds),
            ("periodSeconds", probe.period_seconds), ("successThreshold", probe.success_threshold),
            ("failureThreshold", probe.failure_threshold),
        ) if value < 0
    ]
    if field != "readinessProbe" and probe.success_threshold != 1:
        errors.append(invalid(f"{path}.successThreshold", probe.success_threshold, "must be 1"))
    return errors


def _host_port_errors(containers: tuple[Container, ...]) -> list[str]:
    errors: list[str] = []
    taken: list[str] = []
    for number, container in enumerate(containers):
        for place, port in enumerate(container.ports):
            if port.host_port:
                asked = f"{port.protocol}/{port.host_ip}/{port.host_port}"
                if asked in taken:
                    errors.append(duplicate(f"spec.containers[{number}].ports[{place}].hostPort", asked))
                taken.append(asked)
    return errors


def resources_errors(resources: ResourceRequirements, path: str) -> list[str]:
    """What is wrong with requests and limits: known names, no negative amounts, no request above its limit."""
    if not resources.limits and not resources.requests:
        return []
    errors = _amounts_errors(resources.limits, f"{path}.limits")
    errors += _amounts_errors(resources.requests, f"{path}.requests")
    for name, amount in resources.requests.items():
        limit = resources.limits.get(name)
        shared = "/" not in name and not name.startswith("hugepages-")
        if limit is None:
            if not shared:
                errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        elif not shared and amount != limit:
            errors.append(invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}"))
        elif limit < amount:
            errors.append(invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}"))
    return errors


def _amounts_errors(amounts: Mapping[str, Quantity], path: str) -> list[str]:
    errors: list[str] = []
    for name, amount in amounts.items():
        if name not in _STANDARD:
            errors += [invalid(path, name, why) for why in qualified_name(name)]
            if "/" not in name and not name.startswith("hugepages-"):
                errors.append(invalid(path, name, "must be a standard resource for containers"))
            if amount.nano % 10**9:
                errors.append(invalid(f"{path}[{name}]", amount, "must be an integer"))
        if amount.nano < 0:
            errors.append(invalid(f"{path}[{name}]", amount, NOT_NEGATIVE))
    return errors
