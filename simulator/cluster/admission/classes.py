"""The cluster's catalogue: storage classes, attribute classes, CSI objects and priority classes (VB-19, SC-109)."""

from __future__ import annotations

from typing import Final

from simulator.api.policy import PriorityClass
from simulator.api.storage import (
    IMMEDIATE,
    WAIT_FOR_FIRST_CONSUMER,
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    TopologySelectorTerm,
    VolumeAttributesClass,
)
from simulator.cluster.admission.metadata import (
    key_errors,
    label_selector_errors,
    metadata_errors,
    metadata_update_errors,
)
from simulator.cluster.admission.names import Complaints, qualified_name, subdomain_name
from simulator.cluster.admission.refusals import (
    IMMUTABLE,
    NOT_NEGATIVE,
    duplicate,
    forbidden_field,
    invalid,
    required,
    unsupported,
)
from simulator.cluster.admission.storage import driver_name_errors

_MODES: Final = (IMMEDIATE, WAIT_FOR_FIRST_CONSUMER)
HIGHEST_USER_PRIORITY: Final = 1_000_000_000
SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_PREEMPTION: Final = ("PreemptLowerPriority", "Never")


def class_errors(storage_class: StorageClass) -> list[str]:
    """What is wrong with a new storage class."""
    errors = metadata_errors(storage_class, subdomain_name)
    if not storage_class.provisioner:
        errors.append(required("provisioner"))
    errors += [invalid("provisioner", storage_class.provisioner, why)
               for why in qualified_name(storage_class.provisioner.lower()) if storage_class.provisioner]
    if storage_class.reclaim_policy not in ("Delete", "Retain"):
        errors.append(unsupported("reclaimPolicy", storage_class.reclaim_policy, ("Delete", "Retain")))
    if storage_class.volume_binding_mode not in _MODES:
        errors.append(unsupported("volumeBindingMode", storage_class.volume_binding_mode, _MODES))
    return errors + _topology_errors(storage_class.allowed_topologies)


def class_update_errors(storage_class: StorageClass, old: StorageClass) -> list[str]:
    """What is wrong with a changed storage class: what volumes were made by stays (VB-19)."""
    errors = metadata_update_errors(storage_class.metadata, old.metadata)
    errors += [
        forbidden_field(field, f"updates to {field} are forbidden.")
        for field, same in (
            ("parameters", storage_class.parameters == old.parameters),
            ("provisioner", storage_class.provisioner == old.provisioner),
            ("reclaimPolicy", storage_class.reclaim_policy == old.reclaim_policy),
        ) if not same
    ]
    if storage_class.volume_binding_mode != old.volume_binding_mode:
        errors.append(invalid("volumeBindingMode", storage_class.volume_binding_mode, IMMUTABLE))
    if storage_class.allowed_topologies is not old.allowed_topologies:
        errors += _topology_errors(storage_class.allowed_topologies)
    return errors


def _topology_errors(terms: tuple[TopologySelectorTerm, ...]) -> list[str]:
    errors: list[str] = []
    for number, term in enumerate(terms):
        keys: list[str] = []
        for place, expression in enumerate(term.match_label_expressions):
            path = f"allowedTopologies[{number}].matchLabelExpressions[{place}]"
            if not expression.values:
                errors.append(required(f"{path}.values"))
            errors += [duplicate(f"{path}.values[{at}]", value)
                       for at, value in enumerate(expression.values) if value in expression.values[:at]]
            errors += key_errors(expression.key, f"{path}.key")
            if expression.key in keys:
                errors.append(duplicate(f"{path}.key", expression.key))
            keys.append(expression.key)
        if term in terms[:number]:
            errors.append(duplicate(f"allowedTopologies[{number}].matchLabelExpressions", ""))
    return errors


def attributes_class_errors(attributes: VolumeAttributesClass) -> list[str]:
    """What is wrong with a new class of volume attributes."""
    errors = metadata_errors(attributes, subdomain_name)
    errors += driver_name_errors(attributes.driver_name, "driverName")
    if not attributes.parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    return errors


def attributes_class_update_errors(attributes: VolumeAttributesClass, old: VolumeAttributesClass) -> list[str]:
    """What is wrong with a changed class of volume attributes."""
    errors = metadata_update_errors(attributes.metadata, old.metadata)
    if attributes.driver_name != old.driver_name:
        errors.append(forbidden_field("driverName", "updates to driverName are forbidden."))
    if attributes.parameters != old.parameters:
        errors.append(forbidden_field("parameters", "updates to parameters are forbidden."))
    return errors


def _driver_name(name: str) -> Complaints:
    return subdomain_name(name.lower())


def driver_errors(driver: CSIDriver) -> list[str]:
    """What is wrong with a new CSI driver."""
    return metadata_errors(driver, _driver_name)


def driver_node_errors(node: CSINode) -> list[str]:
    """What is wrong with a new CSINode."""
    errors = metadata_errors(node, subdomain_name)
    for number, driver in enumerate(node.spec.drivers):
        path = f"spec.drivers[{number}]"
        errors += driver_name_errors(driver.name, f"{path}.name")
        if not driver.node_id:
            errors.append(required(f"{path}.nodeID"))
        if driver.allocatable is not None and driver.allocatable.count is not None and driver.allocatable.count < 0:
            errors.append(invalid(f"{path}.allocatable.count", driver.allocatable.count, NOT_NEGATIVE))
        if driver.name in [other.name for other in node.spec.drivers[:number]]:
            errors.append(duplicate(f"{path}.name", driver.name))
    return errors


def driver_node_update_errors(node: CSINode, old: CSINode) -> list[str]:
    """What is wrong with a changed CSINode: a driver may come and go, and its limit may change."""
    return metadata_update_errors(node.metadata, old.metadata) + (
        driver_node_errors(node) if node.spec is not old.spec else [])


def capacity_errors(capacity: CSIStorageCapacity) -> list[str]:
    """What is wrong with a new CSIStorageCapacity."""
    errors = metadata_errors(capacity, subdomain_name)
    errors += label_selector_errors(capacity.node_topology, "nodeTopology")
    errors += [invalid("storageClassName", capacity.storage_class_name, why)
               for why in subdomain_name(capacity.storage_class_name)]
    amounts = (("capacity", capacity.capacity), ("maximumVolumeSize", capacity.maximum_volume_size))
    errors += [invalid(field, amount, NOT_NEGATIVE)
               for field, amount in amounts if amount is not None and amount.nano < 0]
    return errors


def capacity_update_errors(capacity: CSIStorageCapacity, old: CSIStorageCapacity) -> list[str]:
    """What is wrong with a changed CSIStorageCapacity: topology and class stay."""
    errors = metadata_update_errors(capacity.metadata, old.metadata)
    if capacity.node_topology != old.node_topology:
        errors.append(invalid("nodeTopology", capacity.node_topology, IMMUTABLE))
    if capacity.storage_class_name != old.storage_class_name:
        errors.append(invalid("storageClassName", capacity.storage_class_name, IMMUTABLE))
    return errors


def priority_class_errors(priority_class: PriorityClass) -> list[str]:
    """What is wrong with a new priority class (SC-109)."""
    errors = metadata_errors(priority_class, subdomain_name)
    name = priority_class.metadata.name
    if name.startswith("system-"):
        known = SYSTEM_PRIORITIES.get(name)
        if known is None:
            why = f"{name} is not a known system priority class"
        elif known != priority_class.value:
            why = f"value of {name} PriorityClass must be {known}"
        else:
            why = f"globalDefault of {name} PriorityClass must be false" if priority_class.global_default else ""
        if why:
            errors.append(forbidden_field(
                "metadata.name",
                f"priority class names with 'system-' prefix are reserved for system use only. error: {why}"))
    elif priority_class.value > HIGHEST_USER_PRIORITY:
        errors.append(forbidden_field(
            "value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"))
    if priority_class.preemption_policy not in _PREEMPTION:
        errors.append(unsupported("preemptionPolicy", priority_class.preemption_policy, _PREEMPTION))
    return errors


def priority_class_update_errors(priority_class: PriorityClass, old: PriorityClass) -> list[str]:
    """What is wrong with a changed priority class: its value stays."""
    errors = metadata_update_errors(priority_class.metadata, old.metadata)
    if priority_class.value != old.value:
        errors.append(forbidden_field("value", "may not be changed in an update."))
    if priority_class.preemption_policy != old.preemption_policy:
        errors.append(invalid("preemptionPolicy", priority_class.preemption_policy, IMMUTABLE))
    return errors
