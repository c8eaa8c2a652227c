"""What a pod asks of a node: resources (SC-59 to SC-62) and host ports (SC-58).

Amounts are whole numbers: thousandths of a core for cpu, units (bytes, pods, devices) for all else. Sizes after an
in-place resize (``status.resources``) are not simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simulator.api.core import Container, Node, Pod, Resources

CPU: Final = "cpu"
MEMORY: Final = "memory"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
PODS: Final = "pods"

_NANO: Final = 10**9
DEFAULT_REQUESTS: Final[Mapping[str, int]] = {CPU: 100 * 10**6, MEMORY: 200 * (1 << 20) * _NANO}
"""What a silent container counts as in scores (SC-62), in billionths: 100m and 200Mi."""

Amounts = dict[str, int]


class HostPort(NamedTuple):
    """A port of the node itself that a pod occupies."""

    ip: str
    protocol: str
    port: int


def is_scalar(name: str) -> bool:
    """Whether the scheduler counts a resource other than cpu, memory and ephemeral storage (SC-59)."""
    if "/" in name:
        return not name.startswith("requests.")
    return name.startswith(("hugepages-", "attachable-volumes-"))


def pod_requests(pod: Pod) -> Amounts:
    """What a pod asks for, per resource (SC-60); a resource that nobody mentions is absent."""
    return _units(_total(pod, {}, pod_level=True))


def nonzero_requests(pod: Pod) -> Amounts:
    """What a pod on a node counts as in scores: cpu and memory, with defaults for silent containers (SC-62)."""
    defaults: Mapping[str, int] = DEFAULT_REQUESTS
    if _pod_level(pod):
        stated = _total(pod, {}, pod_level=True)
        defaults = {name: amount for name, amount in DEFAULT_REQUESTS.items() if name not in stated}
    total = _units(_total(pod, defaults, pod_level=True))
    return {CPU: total.get(CPU, 0), MEMORY: total.get(MEMORY, 0)}


def incoming_nonzero_requests(pod: Pod) -> Amounts:
    """What the pod to be placed counts as in the score of NodeResourcesFit: pod-level requests are not seen (SC-88)."""
    return _units(_total(pod, DEFAULT_REQUESTS, pod_level=False))


def allocatable(node: Node) -> Amounts:
    """What a node has to give, per resource."""
    return _units({name: amount.nano for name, amount in node.status.allocatable.items()}, keep=(PODS,))


def host_ports(pod: Pod) -> tuple[HostPort, ...]:
    """Host ports of a pod's containers and sidecars (SC-58)."""
    spec = pod.spec
    containers = spec.containers
    if spec.init_containers:
        containers = (*containers, *(one for one in spec.init_containers if one.restart_policy == "Always"))
    return tuple(
        HostPort(port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)
        for container in containers
        for port in container.ports
        if port.host_port > 0
    )


def _units(nano: Mapping[str, int], keep: tuple[str, ...] = ()) -> Amounts:
    """Billionths to whole amounts, rounded up; names that the scheduler does not count are left out."""
    amounts: Amounts = {}
    for name, amount in nano.items():
        if name == CPU:
            amounts[name] = -(-amount // 1_000_000)
        elif name in (MEMORY, EPHEMERAL_STORAGE) or name in keep or is_scalar(name):
            amounts[name] = -(-amount // _NANO)
    return amounts


def _pod_level(pod: Pod) -> Resources:
    """Requests of the pod as a whole, as far as they count (SC-60)."""
    resources = pod.spec.resources
    if resources is None:
        return {}
    return {
        name: amount
        for name, amount in resources.requests.items()
        if name in (CPU, MEMORY) or name.startswith("hugepages-")
    }


def _container(container: Container, defaults: Mapping[str, int]) -> Amounts:
    requests = container.resources.requests
    amounts = {name: amount.nano for name, amount in requests.items()}
    for name, amount in defaults.items():
        amounts.setdefault(name, amount)
    return amounts


def _add(total: Amounts, other: Mapping[str, int]) -> None:
    for name, amount in other.items():
        total[name] = total.get(name, 0) + amount


def _total(pod: Pod, defaults: Mapping[str, int], *, pod_level: bool) -> Amounts:
    """SC-60, in billionths; a container that does not name a resource counts with `defaults`."""
    spec = pod.spec
    total: Amounts = {}
    for container in spec.containers:
        _add(total, _container(container, defaults))
    if spec.init_containers:
        sidecars: Amounts = {}
        peak: Amounts = {}
        for container in spec.init_containers:
            amounts = _container(container, defaults)
            if container.restart_policy == "Always":
                _add(total, amounts)
                _add(sidecars, amounts)
                amounts = sidecars
            else:
                _add(amounts, sidecars)
            for name, amount in amounts.items():
                peak[name] = max(peak.get(name, 0), amount)
        for name, amount in peak.items():
            total[name] = max(total.get(name, 0), amount)
    if pod_level and spec.resources is not None:
        total.update((name, amount.nano) for name, amount in _pod_level(pod).items())
    if spec.overhead:
        _add(total, {name: amount.nano for name, amount in spec.overhead.items()})
    return total
