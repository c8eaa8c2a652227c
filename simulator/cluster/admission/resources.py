"""How kinds are called in the API server's answers: ``statefulsets.apps``, ``StatefulSet.apps``."""

from __future__ import annotations

from typing import Final

from simulator.api.kinds import KINDS

_PLURALS: Final = {"StorageClass": "storageclasses", "PriorityClass": "priorityclasses",
                   "VolumeAttributesClass": "volumeattributesclasses", "CSIStorageCapacity": "csistoragecapacities"}


def _group(kind: str) -> str:
    group, slash, _ = KINDS[kind].API_VERSION.partition("/") if kind in KINDS else ("", "", "")
    return f".{group}" if slash else ""


_RESOURCES: Final = {kind: _PLURALS.get(kind, kind.lower() + "s") + _group(kind) for kind in KINDS}
_KINDS: Final = {kind: kind + _group(kind) for kind in KINDS}


def resource_of(kind: str) -> str:
    """The resource of a kind, with its group unless that is the core group.

    Examples
    --------
    >>> resource_of("PersistentVolumeClaim"), resource_of("StatefulSet")
    ('persistentvolumeclaims', 'statefulsets.apps')
    """
    return _RESOURCES.get(kind) or kind.lower() + "s"


def kind_of(kind: str) -> str:
    """The kind with its group, as errors of validation name it.

    Examples
    --------
    >>> kind_of("Pod"), kind_of("StatefulSet")
    ('Pod', 'StatefulSet.apps')
    """
    return _KINDS.get(kind, kind)
