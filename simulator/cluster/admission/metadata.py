"""Metadata: syntax at creation and at updates, labels, and the selectors over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from simulator.api.meta import Object, ObjectMeta, OwnerReference
from simulator.api.selectors import LabelSelector, NodeSelector, NodeSelectorTerm
from simulator.cluster.admission.names import Complaints, label_name, label_value, qualified_name, subdomain_name
from simulator.cluster.admission.refusals import forbidden_field, invalid, required, too_long

NameCheck = Callable[[str], Complaints]

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
_STANDARD_FINALIZERS: Final = frozenset(("kubernetes", ORPHAN, FOREGROUND))
_ANNOTATION_BYTES: Final = 256 * 1024


def metadata_errors(obj: Object, name_check: NameCheck) -> list[str]:
    """What is wrong with the metadata of a new object; its name has been generated already."""
    meta = obj.metadata
    errors: list[str] = []
    if meta.generate_name:
        masked = meta.generate_name[:-1] + "a" if meta.generate_name.endswith("-") else meta.generate_name
        errors += [invalid("metadata.generateName", meta.generate_name, why) for why in name_check(masked)]
    if not meta.name:
        errors.append(required("metadata.name", "name or generateName is required"))
    elif found := name_check(meta.name):
        errors += [invalid("metadata.name", meta.name, why) for why in found]
    if not obj.NAMESPACED:
        if meta.namespace:
            errors.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    elif not meta.namespace:
        errors.append(required("metadata.namespace"))
    elif found := label_name(meta.namespace):
        errors += [invalid("metadata.namespace", meta.namespace, why) for why in found]
    return _common_errors(meta, None, errors)


def metadata_update_errors(meta: ObjectMeta, old: ObjectMeta) -> list[str]:
    """What is wrong with changed metadata; parts that are the very same as before are not looked at again."""
    errors: list[str] = []
    if old.deletion_timestamp is not None and meta.finalizers is not old.finalizers:
        added = sorted({name for name in meta.finalizers if name not in old.finalizers})
        if added:
            found = ", ".join(f'"{name}"' for name in added)
            errors.append(forbidden_field(
                "metadata.finalizers", "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{found}}}"))
    return _common_errors(meta, old, errors)


def _common_errors(meta: ObjectMeta, old: ObjectMeta | None, errors: list[str]) -> list[str]:
    if meta.labels and (old is None or meta.labels is not old.labels):
        errors += labels_errors(meta.labels, "metadata.labels")
    if meta.annotations and (old is None or meta.annotations is not old.annotations):
        errors += annotations_errors(meta.annotations, "metadata.annotations")
    if meta.owner_references and (old is None or meta.owner_references is not old.owner_references):
        errors += _owner_errors(meta.owner_references)
    if meta.finalizers and (old is None or meta.finalizers is not old.finalizers):
        errors += _finalizer_errors(meta.finalizers)
    return errors


def labels_errors(labels: Mapping[str, str], path: str) -> list[str]:
    """What is wrong with the keys and values of labels."""
    errors: list[str] = []
    for key, value in labels.items():
        if found := qualified_name(key):
            errors += [invalid(path, key, why) for why in found]
        if found := label_value(value):
            errors += [invalid(path, value, why) for why in found]
    return errors


def annotations_errors(annotations: Mapping[str, str], path: str) -> list[str]:
    """What is wrong with the keys of annotations, or with their size."""
    errors: list[str] = []
    size = 0
    for key, value in annotations.items():
        size += len(key) + len(value)
        if found := qualified_name(key.lower()):
            errors += [invalid(path, key, why) for why in found]
    if size > _ANNOTATION_BYTES:
        errors.append(too_long(path, _ANNOTATION_BYTES))
    return errors


def _owner_errors(owners: tuple[OwnerReference, ...]) -> list[str]:
    path = "metadata.ownerReferences"
    errors: list[str] = []
    controller = ""
    for owner in owners:
        if not owner.api_version:
            errors.append(invalid(f"{path}.apiVersion", owner.api_version, "version must not be empty"))
        errors += [
            invalid(f"{path}.{field}", "", "must not be empty")
            for field, value in (("kind", owner.kind), ("name", owner.name), ("uid", owner.uid)) if not value
        ]
        if owner.controller:
            here = f"{owner.kind}/{owner.name}"
            if controller:
                errors.append(invalid(path, list(owners), "Only one reference can have Controller set to true. Found "
                                      f'"true" in references for {controller} and {here}'))
            controller = controller or here
    return errors


def _finalizer_errors(finalizers: tuple[str, ...]) -> list[str]:
    path = "metadata.finalizers"
    errors: list[str] = []
    for name in finalizers:
        if found := qualified_name(name):
            errors += [invalid(path, name, why) for why in found]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        errors.append(invalid(path, list(finalizers), f"finalizer {FOREGROUND} and {ORPHAN} cannot be both set"))
    errors += [
        invalid(f"{path}[{number}]", name, "name is neither a standard finalizer name nor is it fully qualified")
        for number, name in enumerate(finalizers) if "/" not in name and name not in _STANDARD_FINALIZERS
    ]
    return errors


# --- selectors --------------------------------------------------------------------------------------------------------

_SET_OPERATORS: Final = ("In", "NotIn")
_PRESENCE_OPERATORS: Final = ("Exists", "DoesNotExist")
_NO_OPERATOR: Final = "not a valid selector operator"


def label_selector_errors(selector: LabelSelector | None, path: str) -> list[str]:
    """What is wrong with a label selector; an absent one is well."""
    if selector is None:
        return []
    errors = labels_errors(selector.match_labels, f"{path}.matchLabels")
    for number, term in enumerate(selector.match_expressions):
        here = f"{path}.matchExpressions[{number}]"
        if term.operator in _SET_OPERATORS:
            if not term.values:
                errors.append(required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif term.operator in _PRESENCE_OPERATORS:
            if term.values:
                errors.append(forbidden_field(
                    f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        else:
            errors.append(invalid(f"{here}.operator", term.operator, _NO_OPERATOR))
        errors += key_errors(term.key, f"{here}.key")
        errors += _values_errors(term.values, f"{here}.values")
    return errors


def key_errors(key: str, path: str) -> list[str]:
    """What is wrong with a label key that stands in a field of its own."""
    return [invalid(path, key, why) for why in qualified_name(key)]


def _values_errors(values: tuple[str, ...], path: str) -> list[str]:
    return [
        invalid(f"{path}[{number}]", value, why)
        for number, value in enumerate(values) for why in label_value(value)
    ]


def node_selector_errors(selector: NodeSelector, path: str) -> list[str]:
    """What is wrong with a node selector; it needs a term (VB-17)."""
    path = f"{path}.nodeSelectorTerms"
    if not selector.node_selector_terms:
        return [required(path, "must have at least one node selector term")]
    errors: list[str] = []
    for number, term in enumerate(selector.node_selector_terms):
        errors += node_term_errors(term, f"{path}[{number}]", strict=True)
    return errors


def node_term_errors(term: NodeSelectorTerm, path: str, strict: bool) -> list[str]:
    """What is wrong with one term; a preferred one (not `strict`) may ask for values that no label can have."""
    errors: list[str] = []
    for number, expression in enumerate(term.match_expressions):
        here = f"{path}.matchExpressions[{number}]"
        operator, values = expression.operator, expression.values
        if operator in _SET_OPERATORS:
            if not values:
                errors.append(required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in _PRESENCE_OPERATORS:
            if values:
                errors.append(forbidden_field(
                    f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                errors.append(required(
                    f"{here}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
        else:
            errors.append(invalid(f"{here}.operator", operator, _NO_OPERATOR))
        errors += key_errors(expression.key, f"{here}.key")
        if strict:
            errors += _values_errors(values, f"{here}.values")
    for number, field in enumerate(term.match_fields):
        here = f"{path}.matchFields[{number}]"
        if field.operator not in _SET_OPERATORS:
            errors.append(invalid(f"{here}.operator", field.operator, _NO_OPERATOR))
        elif len(field.values) != 1:
            errors.append(required(
                f"{here}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
        if field.key != "metadata.name":
            errors.append(invalid(f"{here}.key", field.key, "not a valid field selector key"))
        else:
            errors += [
                invalid(f"{here}.values[{place}]", value, why)
                for place, value in enumerate(field.values) for why in subdomain_name(value)
            ]
    return errors
