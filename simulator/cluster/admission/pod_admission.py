"""The admission of new pods, quick for those that a controller makes one after another from the same template."""

from __future__ import annotations

from msgspec import Struct

from simulator.api.core import Pod, PodSpec, PodStatus
from simulator.api.meta import Object, evolve, with_meta
from simulator.cluster.admission import plugins
from simulator.cluster.admission.affinity import has_label_keys, with_label_keys
from simulator.cluster.admission.pod_defaults import default_pod_spec, default_volumes
from simulator.cluster.admission.pods import pod_errors
from simulator.cluster.admission.refusals import refuse_invalid
from simulator.cluster.admission.strategies import strategy_of
from simulator.cluster.store import Store
from simulator.flows import Refused
from simulator.units import Micros


class _Shape(Struct, frozen=True, gc=False):
    """A controller's last pod, as given and as stored: its next one differs in names and volumes only.

    The priority classes are those that there were: another set of them may give another priority.
    """

    given: PodSpec
    done: PodSpec
    status: PodStatus
    volumes: tuple[str, ...]
    classes: tuple[Object, ...]


class PodAdmission:
    """Defaults, plugins and checks of new pods.

    The last pod of each controller is kept; what a new one has in common with it is taken over and not looked at again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shapes: dict[str, _Shape] = {}

    def admit(self, pod: Pod, now: Micros) -> Pod | Refused:
        """The pod as it may be stored, or why it may not."""
        spec, owner = pod.spec, pod.metadata.controller
        classes = tuple(self._store.of_kind("PriorityClass").values())
        names = tuple([volume.name for volume in spec.volumes])
        shape = self._shapes.get(owner.uid) if owner is not None else None
        if shape is not None and not _fits(shape, spec, names, classes):
            shape = None
        made = self._made(pod, now) if shape is None else _alike(pod, shape)
        if isinstance(made, Refused):
            return made
        if spec.node_name:
            made = with_meta(made, labels=plugins.topology_labels(self._store, made, spec.node_name))
        if errors := pod_errors(made, shared=shape is not None):
            return refuse_invalid(made, errors)
        if shape is None and owner is not None and not spec.scheduling_gates and not has_label_keys(spec):
            self._shapes[owner.uid] = _Shape(spec, made.spec, made.status, names, classes)
        return made

    def forget(self, uid: str) -> None:
        """A controller is gone."""
        self._shapes.pop(uid, None)

    def _made(self, pod: Pod, now: Micros) -> Pod | Refused:
        done = plugins.with_tolerations(default_pod_spec(pod.spec))
        ranked = plugins.with_priority(self._store, evolve(pod, spec=done))
        if isinstance(ranked, Refused):
            return ranked
        made: Pod = strategy_of(pod).fresh(
            evolve(ranked, spec=with_label_keys(ranked.spec, pod.metadata.labels)), now)
        return made


def _fits(shape: _Shape, spec: PodSpec, names: tuple[str, ...], classes: tuple[Object, ...]) -> bool:
    given = shape.given
    return shape.volumes == names and shape.classes == classes and given == evolve(
        spec, volumes=given.volumes, hostname=given.hostname, subdomain=given.subdomain, node_name=given.node_name)


def _alike(pod: Pod, shape: _Shape) -> Pod:
    spec = pod.spec
    done = evolve(shape.done, volumes=default_volumes(spec.volumes), hostname=spec.hostname, subdomain=spec.subdomain,
                  node_name=spec.node_name)
    return evolve(pod, spec=done, status=shape.status)
