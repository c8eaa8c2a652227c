"""What the lints look at: every object as it will be once the manifests are applied, and the questions they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, PodAffinityTerm
from simulator.api.meta import Key, Object, ObjectMeta, evolve, with_meta
from simulator.api.nodes import HOSTNAME
from simulator.api.policy import PodDisruptionBudget, PriorityClass
from simulator.api.storage import IMMEDIATE, NO_PROVISIONER, WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.binding.reference import affinity_matches, class_of, default_class, has_class
from simulator.cluster.admission.apply import apply_patch
from simulator.cluster.admission.defaults import with_defaults
from simulator.cluster.admission.nodes import node_defaults
from simulator.cluster.admission.strategies import strategy_of
from simulator.manifests.loader import Loaded
from simulator.manifests.origin import Origin
from simulator.preflight.input import Input
from simulator.scheduler.plugins.free_volumes import Reach
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.taint_toleration import has_untolerated_taint

T = TypeVar("T", bound=Object)

NODE_LOCAL: Final = frozenset({
    "rancher.io/local-path", "openebs.io/local", "local.csi.openebs.io", "zfs.csi.openebs.io", "topolvm.io",
    "topolvm.cybozu.com", "directpv-min-io", "lvm.csi.metal-stack.io", "local.csi.aliyun.com",
    "yoda.csi.alibabacloud.com",
})
"""Provisioners known to make volumes that live on one node."""


class Item(Struct, Generic[T], frozen=True):
    """An object, where it is written, whether it is about to be applied, and after how many others."""

    obj: T
    origin: Origin
    is_new: bool
    turn: int = 0

    @property
    def title(self) -> str:
        """As findings name it."""
        return str(self.obj.key)


class Template(Struct, frozen=True):
    """Pods that are to run: those of a set, or a single one.

    Attributes
    ----------
    item : the set or pod.
    pod : one of the pods, as far as it can be told beforehand.
    replicas : how many of them there are to be.
    path : the way to the pod's spec from the root of the object.
    """

    item: Item[StatefulSet] | Item[Pod]
    pod: Pod
    replicas: int
    path: str

    @property
    def namespace(self) -> str:
        """The pods' namespace."""
        return self.pod.namespace

    @property
    def is_up(self) -> bool:
        """Whether its pods run already, and nothing about them is to change."""
        obj = self.item.obj
        if self.item.is_new:
            return False
        return bool(obj.spec.node_name) if isinstance(obj, Pod) else obj.status.ready_replicas >= obj.replicas

    @property
    def apart(self) -> tuple[tuple[int, PodAffinityTerm], ...]:
        """The required anti-affinity terms, with their numbers, that keep these pods away from one another."""
        return tuple(
            (number, term) for number, term in enumerate(anti_affinity_of(self.pod))
            if term.label_selector is not None and term.label_selector.selects(self.pod.metadata.labels)
            and (not term.namespaces or self.namespace in term.namespaces or term.namespace_selector is not None)
        )


def anti_affinity_of(pod: Pod) -> tuple[PodAffinityTerm, ...]:
    """A pod's required anti-affinity."""
    affinity = pod.spec.affinity
    if affinity is None or affinity.pod_anti_affinity is None:
        return ()
    return affinity.pod_anti_affinity.required


class Wish(Struct, frozen=True):
    """Claims that pods will make or use: those of a claim template, or one by name.

    Attributes
    ----------
    claim : one of them, its class settled; of those that do not exist yet, as it will be made.
    item : the object that it is written in, and the way to the claim in it.
    template : the pods that use them.
    number : how many claims there will be.
    bound : ordinal → volume, of those that are bound already.
    """

    claim: PersistentVolumeClaim
    item: Item[StatefulSet] | Item[Pod] | Item[PersistentVolumeClaim]
    path: str
    template: Template | None
    number: int
    bound: dict[int, str] = {}

    @property
    def storage_class(self) -> str:
        """The claim's class, "" for none."""
        return class_of(self.claim)

    @property
    def open(self) -> int:
        """How many of them still need a volume."""
        return self.number - len(self.bound)


class Inventory:
    """Every object as it will be, by kind.

    Parameters
    ----------
    given : the input of a preflight.
    """

    def __init__(self, given: Input) -> None:
        self.has_cluster = bool(given.present)
        self.provisioners = {one.name: one for one in given.scenario.spec.provisioners}
        self.has_local_provisioner = given.scenario.spec.local_provisioner is not None
        self._there = {item.obj.key for item in given.present}
        self._items: dict[str, dict[Key, Item[Object]]] = {}
        for item in given.present:
            self._add(item, False)
        for turn, item in enumerate(given.new):
            self._add(item, True, turn)
        if not given.present:  # nodes that --nodes or a generator has made
            known = {item.obj.key for item in given.new}
            for item in given.scenario.initial.objects:
                if item.obj.key not in known:
                    self._add(item, True)

    def _add(self, loaded: Loaded, is_new: bool, turn: int = 0) -> None:
        obj = loaded.obj
        objects = self._items.setdefault(obj.KIND, {})
        there = objects.get(obj.key)
        if there is not None:
            try:
                obj = apply_patch(there.obj, loaded.raw)
            except msgspec.ValidationError:
                obj = there.obj  # the API server will refuse it, and the preflight says so
            obj = strategy_of(obj).changed(with_defaults(obj), there.obj, 0)
        obj = with_defaults(obj)
        if isinstance(obj, Node):
            obj = node_defaults(obj, label=not obj.metadata.uid)[0]
        objects[obj.key] = Item(obj, loaded.origin, is_new, turn)

    # --- objects ----------------------------------------------------------------------------------------------------

    def all(self, kind: type[T]) -> list[Item[T]]:
        """All objects of a kind, in the order in which they are written."""
        return list(self._items.get(kind.KIND, {}).values())  # type: ignore[arg-type]

    def get(self, kind: type[T], name: str, namespace: str = "") -> Item[T] | None:
        """The object of that name, or None."""
        return self._items.get(kind.KIND, {}).get(Key(kind.KIND, namespace, name))  # type: ignore[return-value]

    def is_created(self, item: Item[Any]) -> bool:
        """Whether an object is about to be made, and is not in the cluster yet."""
        return item.is_new and item.obj.key not in self._there

    def has(self, kind: type[T]) -> bool:
        """Whether there is any object of a kind."""
        return bool(self._items.get(kind.KIND))

    @cached_property
    def nodes(self) -> list[Item[Node]]:
        """The nodes."""
        return self.all(Node)

    @cached_property
    def volumes(self) -> list[Item[PersistentVolume]]:
        """The volumes."""
        return self.all(PersistentVolume)

    @cached_property
    def default_class(self) -> StorageClass | None:
        """The default class, if there is one."""
        return default_class(item.obj for item in self.all(StorageClass))

    def storage_class(self, name: str) -> StorageClass | None:
        """The class of that name."""
        found = self.get(StorageClass, name) if name else None
        return found.obj if found is not None else None

    def is_immediate(self, class_name: str) -> bool:
        """Whether claims of a class are bound before their pods are scheduled, as they are without such a class."""
        found = self.storage_class(class_name)
        return found is None or (found.volume_binding_mode or IMMEDIATE) != WAIT_FOR_FIRST_CONSUMER

    def is_dynamic(self, class_name: str) -> bool:
        """Whether somebody makes volumes of a class."""
        found = self.storage_class(class_name)
        return found is not None and found.provisioner != NO_PROVISIONER

    # --- nodes ------------------------------------------------------------------------------------------------------

    def label_values(self, label: str) -> Sequence[str]:
        """The values of a label that nodes have."""
        return list(dict.fromkeys(
            item.obj.metadata.labels[label] for item in self.nodes if label in item.obj.metadata.labels))

    @cached_property
    def _by_label(self) -> dict[str, dict[str, list[Node]]]:
        return {}

    def nodes_with(self, label: str, value: str) -> Sequence[Node]:
        """The nodes whose label has a value."""
        values = self._by_label.get(label)
        if values is None:
            values = self._by_label[label] = {}
            for item in self.nodes:
                own = item.obj.metadata.labels.get(label)
                if own is not None:
                    values.setdefault(own, []).append(item.obj)
        return values.get(value, ())

    @cached_property
    def _reach(self) -> dict[str, tuple[Node, ...]]:
        return {}

    def reach(self, volume: PersistentVolume) -> tuple[Node, ...]:
        """The nodes from which a volume can be reached."""
        known = self._reach.get(volume.name)
        if known is None:
            found = Reach.of(volume)
            if found.label:
                known = tuple(node for value in found.values for node in self.nodes_with(found.label, value))
            else:
                known = tuple(item.obj for item in self.nodes if affinity_matches(volume, item.obj.metadata.labels))
            self._reach[volume.name] = known
        return known

    def nodes_for(self, pod: Pod) -> tuple[Node, ...]:
        """The nodes that neither cordon, taint, selector nor required node affinity closes for a pod."""
        required = RequiredNodes.of(pod)
        return tuple(
            item.obj for item in self.nodes
            if (not item.obj.spec.unschedulable or _stands_cordon(pod)) and required.allows(item.obj)
            and not has_untolerated_taint(pod, item.obj.spec.taints)
            and (not pod.spec.node_name or pod.spec.node_name == item.obj.name)
        )

    # --- pods and their claims --------------------------------------------------------------------------------------

    @cached_property
    def templates(self) -> list[Template]:
        """The pods of all sets, and the pods that belong to no set and have not ended."""
        found: list[Template] = []
        for item in self.all(StatefulSet):
            spec = item.obj.spec.template
            pod = Pod(metadata=ObjectMeta(name=item.obj.pod_name(item.obj.start), namespace=item.obj.namespace,
                                          labels=spec.metadata.labels, annotations=spec.metadata.annotations),
                      spec=spec.spec)
            found.append(Template(item, pod, item.obj.replicas, "spec.template.spec"))
        for each in self.all(Pod):
            owner = each.obj.metadata.controller
            if (owner is None or owner.kind != StatefulSet.KIND) and not each.obj.is_finished:
                found.append(Template(each, each.obj, 1, "spec"))
        return found

    @cached_property
    def wishes(self) -> list[Wish]:
        """The claims of all sets, pods and those written by themselves, each once."""
        found: list[Wish] = []
        used: set[Key] = set()
        for template in self.templates:
            obj = template.item.obj
            if isinstance(obj, StatefulSet):
                found.extend(self._made_by(obj, template, used))
        users = {(template.namespace, name): template for template in self.templates
                 for name in template.pod.claim_names}
        for item in self.all(PersistentVolumeClaim):
            if item.obj.key in used:
                continue
            bound = {0: item.obj.spec.volume_name} if item.obj.status.phase == "Bound" else {}
            user = users.get((item.obj.namespace, item.obj.name))
            found.append(Wish(self._settled(item.obj), item, "spec", user, 1, bound))
        return found

    def _made_by(self, sts: StatefulSet, template: Template, used: set[Key]) -> Iterator[Wish]:
        for number, claim in enumerate(sts.spec.volume_claim_templates):
            bound: dict[int, str] = {}
            for ordinal in sts.ordinals:
                there = self.get(PersistentVolumeClaim, sts.claim_name(claim.name, ordinal), sts.namespace)
                if there is None:
                    continue
                used.add(there.obj.key)
                if there.obj.status.phase == "Bound" and there.obj.spec.volume_name:
                    bound[ordinal] = there.obj.spec.volume_name
            made = with_defaults(with_meta(claim, namespace=sts.namespace))
            assert isinstance(made, PersistentVolumeClaim)
            yield Wish(self._settled(made), template.item, f"spec.volumeClaimTemplates[{number}]",
                       template, sts.replicas, bound)

    def _settled(self, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
        """The claim with the default class, if it names none and there is one."""
        if has_class(claim) or self.default_class is None:
            return claim
        return evolve(claim, spec=evolve(claim.spec, storage_class_name=self.default_class.name))

    @cached_property
    def claim_names(self) -> dict[tuple[str, str], None]:
        """Namespace and name of every claim that there is, or that sets and pods make."""
        names = {(item.obj.namespace, item.obj.name): None for item in self.all(PersistentVolumeClaim)}
        for template in self.templates:
            obj = template.item.obj
            if isinstance(obj, StatefulSet):
                names.update({(obj.namespace, obj.claim_name(claim.name, ordinal)): None
                              for claim in obj.spec.volume_claim_templates for ordinal in obj.ordinals})
            names.update({(template.namespace, f"{template.pod.name}-{volume.name}"): None
                          for volume in template.pod.spec.volumes if volume.ephemeral is not None})
        return names

    @cached_property
    def _reserved(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for item in self.volumes:
            reference = item.obj.spec.claim_ref
            if reference is not None and item.obj.status.phase not in ("Released", "Failed"):
                found.setdefault(reference.namespace, set()).add(reference.name)
        return found

    def reserved_names(self, namespace: str) -> set[str]:
        """Names of the claims of a namespace that volumes refer to."""
        return self._reserved.get(namespace, set())

    @cached_property
    def _by_class(self) -> dict[str, list[Item[PersistentVolume]]]:
        found: dict[str, list[Item[PersistentVolume]]] = {}
        for item in self.volumes:
            found.setdefault(class_of(item.obj), []).append(item)
        return found

    def volumes_of_class(self, name: str) -> list[Item[PersistentVolume]]:
        """All volumes of a class, "" for those that have none."""
        return self._by_class.get(name, [])

    @cached_property
    def budgets(self) -> list[Item[PodDisruptionBudget]]:
        """The disruption budgets."""
        return self.all(PodDisruptionBudget)

    @cached_property
    def priorities(self) -> set[str]:
        """Names of the priority classes."""
        return {item.obj.name for item in self.all(PriorityClass)}


def _stands_cordon(pod: Pod) -> bool:
    return any(each.key in ("", "node.kubernetes.io/unschedulable") and each.operator == "Exists"
               for each in pod.spec.tolerations)


def is_free(volume: PersistentVolume) -> bool:
    """Whether any claim may take a volume; one that is not looked at yet will be."""
    return (volume.spec.claim_ref is None and volume.status.phase in ("", "Pending", "Available")
            and not volume.metadata.is_terminating)


def domain_of(nodes: Iterable[Node], label: str = HOSTNAME) -> str | None:
    """The one domain in which all of some nodes are; None if they are in several, or in none."""
    values = {node.metadata.labels.get(label) for node in nodes}
    return values.pop() if len(values) == 1 else None
