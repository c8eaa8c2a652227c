"""Where things come from: the line of a manifest in which a fact is written, or what the object was made from."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import PersistentVolume, Pod
from simulator.api.meta import Key, Object
from simulator.binding.names import PROVISIONED_BY
from simulator.explanation.evidence import Evidence
from simulator.manifests.origin import Origin, line_of


class Origins:
    """Looks up where the objects of a run were written.

    Parameters
    ----------
    header : of the run's log.
    """

    def __init__(self, header: Mapping[str, Any], evidence: Evidence) -> None:
        self._places: Mapping[str, str] = header.get("origins", {})
        self._digests = {each["file"]: each["sha256"] for each in header.get("inputs", ())}
        self._evidence = evidence
        self._known: dict[str, bool] = {}

    def where(self, key: Key, field: str = "") -> str:
        """``file:line`` of an object, or of a field; "" if nobody wrote it."""
        place = self._places.get(str(key), "")
        file, colon, line = place.rpartition(":")
        if not colon or not line.isdecimal():
            return place
        if field and self._is_as_it_was(file):
            return f"{file}:{_line(file, int(line), key.kind, field)}"
        return place

    def _is_as_it_was(self, file: str) -> bool:
        """Whether a file is what it was when it was run; only then are its lines worth looking up."""
        wanted = self._digests.get(file)
        if wanted is None:
            return True
        if file not in self._known:
            self._known[file] = wanted == _digest(file)
        return self._known[file]

    def story(self, key: Key, field: str = "") -> tuple[str, str]:
        """Where a fact about an object is written, and what the object was made from.

        Returns
        -------
        ``file:line`` ("" if nobody wrote it), and a chain such as ``StatefulSet consul``.
        """
        if str(key) in self._places:
            return self.where(key, field), ""
        obj = self._evidence.state.find(key)
        maker = self._maker(obj, key)
        if maker is None:
            return "", _made_by(obj)
        inner = _template_field(key, maker, field)
        where, chain = self.story(maker, inner)
        return where, f"{maker.kind} {maker.name}" + (f" ← {chain}" if chain else "")

    def _maker(self, obj: Object | None, key: Key) -> Key | None:
        """The set that a pod or a claim was made for, the class that a volume was made for."""
        if isinstance(obj, Pod) and (controller := obj.metadata.controller) is not None:
            return Key(controller.kind, obj.namespace, controller.name)
        if key.kind == "PersistentVolumeClaim":
            for owner in self._evidence.state.list(StatefulSet, key.namespace):
                for template in owner.spec.volume_claim_templates:
                    member = parent_and_ordinal(key.name.removeprefix(f"{template.name}-"))
                    if key.name.startswith(f"{template.name}-") and member is not None and member[0] == owner.name:
                        return owner.key
        if isinstance(obj, PersistentVolume) and PROVISIONED_BY in obj.metadata.annotations:
            return Key("StorageClass", "", obj.spec.storage_class_name)
        return None


def _made_by(obj: Object | None) -> str:
    if isinstance(obj, PersistentVolume) and (maker := obj.metadata.annotations.get(PROVISIONED_BY)):
        return f"made by {maker}"
    return ""


def _template_field(key: Key, maker: Key, field: str) -> str:
    """A field of a pod or claim, as its set's template has it."""
    if maker.kind != "StatefulSet":
        return ""
    if key.kind == "Pod":
        return f"spec.template.{field}" if field else "spec.template"
    return f"spec.volumeClaimTemplates[0].{field}" if field else "spec.volumeClaimTemplates"


def _digest(file: str) -> str:
    try:
        return sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def _line(file: str, line: int, kind: str, field: str) -> int:
    """The line of a field, if the object of that kind stands where it is said to."""
    origin = Origin(file, line)
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return line
    found = line_of(origin, "kind")
    if not 1 <= found <= len(lines) or kind not in lines[found - 1]:
        return line
    return line_of(origin, field)
