"""The one new set of a scenario in which nothing else happens; whatever else there is might matter.

The lists below are of what is known not to change where claims and pods go, or of what is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, Service
from simulator.api.meta import Object, encode
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import StorageClass
from simulator.controllers.kubelet.running import probe_delay
from simulator.controllers.statefulset.pods import POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL
from simulator.explanation.verdict import SCHEDULER_NAME
from simulator.latency import Latency
from simulator.scenario.kubectl import Apply
from simulator.scenario.load import Scenario
from simulator.scheduler.resources import host_ports
from simulator.simulation import HORIZON
from simulator.units import SECOND, Micros

_KINDS: Final = (Node, StorageClass, PersistentVolume, StatefulSet, Service)
_SET: Final = frozenset({
    "replicas", "selector", "template", "volumeClaimTemplates", "serviceName", "podManagementPolicy", "updateStrategy",
    "revisionHistoryLimit", "minReadySeconds", "persistentVolumeClaimRetentionPolicy",
})
_TEMPLATE: Final = frozenset({"labels", "annotations"})
_POD: Final = frozenset({
    "containers", "initContainers", "volumes", "affinity", "tolerations", "terminationGracePeriodSeconds",
    "restartPolicy", "schedulerName",
    # without effect on the simulation
    "dnsPolicy", "dnsConfig", "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "securityContext",
    "imagePullSecrets", "shareProcessNamespace", "hostAliases", "enableServiceLinks",
})
_CONTAINER: Final = frozenset({
    "name", "image", "ports", "resources", "volumeMounts", "readinessProbe", "livenessProbe", "startupProbe",
    "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom", "volumeDevices", "lifecycle",
    "securityContext", "terminationMessagePath", "terminationMessagePolicy", "stdin", "tty",
})
_VOLUME: Final = frozenset({"name", "emptyDir", "configMap", "secret", "downwardAPI", "projected"})
_CLAIM: Final = frozenset({"accessModes", "resources", "storageClassName", "volumeMode"})
_MODES: Final = frozenset({"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"})
_DIFFER: Final = frozenset({POD_NAME_LABEL, POD_INDEX_LABEL, REVISION_LABEL})
"""Labels that a set gives each of its pods another value of."""


class UnknownToForms(Exception):
    """Something that might matter; the message says what, in a clause."""


def only(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """See to it that nothing but what is known is given.

    Raises
    ------
    UnknownToForms
        If something else is.
    """
    for name in given:
        if name not in known:
            raise UnknownToForms(f"{where} has {name}")


def the_set(scenario: Scenario, until: Micros | None) -> StatefulSet:
    """The set, as it is written.

    Raises
    ------
    UnknownToForms
        If there is anything that might matter besides it, its nodes, volumes and classes, or in it.
    """
    _check_spec(scenario, until)
    objects = [item.obj for item in scenario.initial.objects]
    objects.extend(_applied(scenario))
    for obj in objects:
        if not isinstance(obj, _KINDS) and obj.KIND != "Namespace":
            raise UnknownToForms(f"there is the {obj.KIND} {obj.name}")
        if obj.metadata.is_terminating or obj.metadata.owner_references:
            raise UnknownToForms(f"the {obj.KIND} {obj.name} is being deleted, or belongs to another object")
    sets = [obj for obj in objects if isinstance(obj, StatefulSet)]
    if len(sets) != 1:
        raise UnknownToForms(f"there are {len(sets)} sets, not one" if sets else "there is no set")
    _check_set(sets[0])
    return sets[0]


def check_durations(latencies: Mapping[str, Latency], wanted: StatefulSet, pod: Pod) -> None:
    """See to it that there is time to spare until the horizon, so that every run has a verdict."""
    longest = sum(latency.points[-1][1] for latency in latencies.values())
    each = 5 * SECOND * (1 + len(pod.spec.init_containers)) + 3 * longest + probe_delay(pod)
    if wanted.replicas * (each + wanted.spec.min_ready_seconds * SECOND) > HORIZON // 4:
        raise UnknownToForms("it may take so long that a run ends without a verdict")


def _check_spec(scenario: Scenario, until: Micros | None) -> None:
    spec = scenario.spec
    if until is not None or spec.until:
        raise UnknownToForms("the run is to go on to a given time")
    if spec.provisioners or spec.local_provisioner is not None:
        raise UnknownToForms("the scenario describes a provisioner")
    for point in scenario.latencies:
        if point.partition("/")[0] == "work":
            raise UnknownToForms(f"with the latency {point} a claim may be looked at before all volumes are known")


def _applied(scenario: Scenario) -> Iterator[Object]:
    for entry in scenario.timeline:
        actions = [action.obj for action in entry.actions if isinstance(action, Apply)]
        is_more = len(actions) < len(entry.actions) or entry.when or entry.pause or entry.faults
        if is_more or not all(isinstance(obj, (StatefulSet, Service)) for obj in actions):
            raise UnknownToForms(f"entry {entry.number} of the timeline ({entry.words}) does more than apply the set")
        yield from actions


def _check_set(wanted: StatefulSet) -> None:
    """The set as it is written, defaults not filled in."""
    spec, template = wanted.spec, wanted.spec.template
    if wanted.metadata.uid or wanted.metadata.finalizers:
        raise UnknownToForms(f"the set {wanted.name} is not new")
    only(encode(spec), _SET, "the set's spec")
    policy = spec.persistent_volume_claim_retention_policy
    if policy is not None and {policy.when_deleted, policy.when_scaled} - {"", "Retain"}:
        raise UnknownToForms("the set deletes claims")
    if wanted.replicas < 1 or not spec.volume_claim_templates:
        raise UnknownToForms("the set has no replicas or no claim templates")
    only(encode(template.metadata), _TEMPLATE, "the pods' metadata")
    only(encode(template.spec), _POD, "the pods' spec")
    if template.spec.scheduler_name not in ("", SCHEDULER_NAME):
        raise UnknownToForms("the pods have another scheduler")
    for container in (*template.spec.containers, *template.spec.init_containers):
        only(encode(container), _CONTAINER, "a container")
    for volume in template.spec.volumes:
        only(encode(volume), _VOLUME, "a volume of the pods")
    if host_ports(Pod(spec=template.spec)):
        raise UnknownToForms("the pods have a hostPort")
    _check_affinity(wanted)
    for claim in spec.volume_claim_templates:
        _check_template(claim)


def _check_affinity(wanted: StatefulSet) -> None:
    template = wanted.spec.template
    affinity = template.spec.affinity
    if affinity is None and wanted.replicas == 1:
        return
    anti = affinity.pod_anti_affinity if affinity is not None else None
    if affinity is None or anti is None or not anti.required:
        raise UnknownToForms("no required anti-affinity keeps the pods apart")
    if len(encode(affinity)) > 1 or len(anti.required) > 1 or anti.preferred:
        raise UnknownToForms("the pods have more than one rule of affinity")
    term = anti.required[0]
    only(encode(term), ("topologyKey", "labelSelector"), "the anti-affinity")
    selector = term.label_selector
    if term.topology_key != HOSTNAME:
        raise UnknownToForms(f"the anti-affinity is about {term.topology_key}, not about the node")
    if selector is None or not selector.selects(template.metadata.labels):
        raise UnknownToForms("the anti-affinity does not select the set's own pods")
    if not _DIFFER.isdisjoint((*selector.match_labels, *(each.key for each in selector.match_expressions))):
        raise UnknownToForms("the anti-affinity goes by labels that differ from pod to pod")


def _check_template(claim: PersistentVolumeClaim) -> None:
    where = f"the claim template {claim.name}"
    only(encode(claim.metadata), ("name", "labels"), where)
    only(encode(claim.spec), _CLAIM, where)
    if claim.spec.storage_class_name is None:
        raise UnknownToForms(f"{where} leaves the class to the default")
    if not _MODES.issuperset(claim.spec.access_modes):
        raise UnknownToForms(f"{where} asks for {', '.join(claim.spec.access_modes)}")
