"""Which lists a strategic merge patch merges, and by which key; all others are replaced as a whole."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct


class Field(Struct, frozen=True):
    """How a patch treats one field.

    Attributes
    ----------
    inside : the struct of the field, or of its elements, if the simulation has one.
    key : the field by which elements of a list are told apart; "" if the elements are plain values.
    merges : whether a list is merged rather than replaced.
    replaces : whether a map is replaced rather than merged.
    retains : whether an element keeps only the keys that the patch names, so that a volume has one source.
    number_only : whether only a number may stand there; a date as text is not for a client to set.
    """

    inside: type[Struct] | None = None
    key: str = ""
    merges: bool = False
    replaces: bool = False
    retains: bool = False
    number_only: bool = False


_MERGED: Final = {
    ("ObjectMeta", "ownerReferences"): "uid", ("ObjectMeta", "finalizers"): "",
    ("PodSpec", "volumes"): "name", ("PodSpec", "containers"): "name", ("PodSpec", "initContainers"): "name",
    ("PodSpec", "ephemeralContainers"): "name", ("PodSpec", "imagePullSecrets"): "name",
    ("PodSpec", "hostAliases"): "ip", ("PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("PodSpec", "resourceClaims"): "name", ("PodSpec", "schedulingGates"): "name",
    ("Container", "ports"): "containerPort", ("Container", "env"): "name", ("Container", "volumeMounts"): "mountPath",
    ("Container", "volumeDevices"): "devicePath",
    ("PodStatus", "conditions"): "type", ("PodStatus", "podIPs"): "ip", ("PodStatus", "hostIPs"): "ip",
    ("PodStatus", "resourceClaimStatuses"): "name",
    ("NodeSpec", "podCIDRs"): "", ("NodeStatus", "conditions"): "type", ("NodeStatus", "addresses"): "type",
    ("NamespaceStatus", "conditions"): "type", ("PersistentVolumeClaimStatus", "conditions"): "type",
    ("StatefulSetStatus", "conditions"): "type", ("PodDisruptionBudgetStatus", "conditions"): "type",
    ("ServiceSpec", "ports"): "port", ("CSINodeSpec", "drivers"): "name",
}
_RETAINING: Final = (("PodSpec", "volumes"), ("PodSpec", "resourceClaims"), ("PodStatus", "resourceClaimStatuses"))
_REPLACED: Final = (("PodDisruptionBudgetSpec", "selector"),)

PLAIN: Final = Field()
"""A field about which nothing is known: maps merge, lists are replaced."""


@lru_cache(maxsize=256)
def fields_of(struct: type[Struct]) -> dict[str, Field]:
    """How a patch treats the fields of a struct, by Kubernetes' spelling."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: _field(struct.__name__, field.encode_name, field.type) for field in info.fields}


def _field(struct: str, name: str, kind: Any) -> Field:
    parts = list(kind.types) if isinstance(kind, msgspec.inspect.UnionType) else [kind]
    inside = None
    for part in parts:
        element = part.item_type if isinstance(part, msgspec.inspect.VarTupleType) else part
        if isinstance(element, msgspec.inspect.StructType):
            inside = element.cls
    here = (struct, name)
    kinds = [type(part) for part in parts]
    return Field(
        inside=inside, key=_MERGED.get(here, ""), merges=here in _MERGED, replaces=here in _REPLACED,
        retains=here in _RETAINING,
        number_only=msgspec.inspect.IntType in kinds and msgspec.inspect.StrType not in kinds,
    )
