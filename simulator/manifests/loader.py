"""One document to one object: its kind and fields checked, what is not simulated told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from simulator.api.kinds import KINDS
from simulator.api.meta import Object, decode
from simulator.errors import ManifestError
from simulator.manifests.documents import BUILD_FIRST, Complaint, Document, to_document
from simulator.manifests.origin import FieldPath, Origin, line_of
from simulator.manifests.schema import Findings, Node, Problem, root_of
from simulator.manifests.suggest import nearest, shown
from simulator.manifests.table import RELEASE, Table, group_of, table
from simulator.manifests.times import EPOCH
from simulator.units import Micros

MAX_ERRORS: Final = 20
"""More errors than this are not reported together."""


class Loaded(msgspec.Struct, frozen=True, gc=False):
    """A simulated object, its plain data as written, and its place."""

    obj: Object
    raw: dict[str, Any]
    origin: Origin


class NotSimulated(msgspec.Struct, frozen=True, gc=False):
    """A valid object of a kind that has no effect on the simulation; `namespace` is "" if none was written."""

    kind: str
    api_version: str
    namespace: str
    name: str
    origin: Origin


class WithoutEffect(msgspec.Struct, frozen=True, gc=False):
    """A valid field that is set and has no effect: how often, and in which object first."""

    field: str
    count: int
    origin: Origin


class Oddity(msgspec.Struct, frozen=True, gc=False):
    """Something in a dump that Kubernetes 1.36 has not: what, how it was taken, how often, and where first."""

    what: str
    taken: str
    count: int
    origin: Origin


class Loader:
    """Checks and decodes documents one by one, and remembers what a report says once for all of them.

    Parameters
    ----------
    epoch : the point in time that is simulated time 0.
    is_dump : whether the documents are what an API server said. Then a field or kind that 1.36 has not is no mistake of
        whoever gives it, and no reason to give up: it is left out, and remembered as an oddity.
    """

    def __init__(self, epoch: str = EPOCH, is_dump: bool = False) -> None:
        self._is_dump = is_dump
        self._oddities: dict[str, Oddity] = {}
        self._foreign: dict[tuple[str, str], str] = {}
        self._known: dict[tuple[str, str], tuple[Node, type[Object] | None] | None] = {}
        self._findings = Findings(epoch)
        self._declared: set[str] = set()
        self._effects: dict[str, tuple[int, Origin]] = {}

    @property
    def newest(self) -> Micros | None:
        """The latest point in time so far."""
        return self._findings.newest

    @property
    def without_effect(self) -> tuple[WithoutEffect, ...]:
        """The fields without effect so far, in the order of their first use."""
        return tuple(WithoutEffect(field, count, origin) for field, (count, origin) in self._effects.items())

    @property
    def oddities(self) -> tuple[Oddity, ...]:
        """What was left out of a dump so far."""
        return tuple(self._oddities.values())

    def take(self, document: Document) -> Loaded | NotSimulated:
        """The object of a document.

        Raises
        ------
        ManifestError
            With one line for each problem.
        """
        api_version, kind, raw, origin = document
        try:
            known = self._known[api_version, kind]
        except KeyError:
            known = self._known[api_version, kind] = self._find_leniently(document)
        if known is None:
            if (what := self._foreign.get((api_version, kind))) is not None:
                self._note(what, "it is not simulated", origin)
            return self._custom(document)
        node, struct = known
        findings = self._findings
        findings.inert.clear()
        settled = raw
        if not node.accepts(raw, findings) or not _has_name(raw):
            findings.inert.clear()
            findings.problems.clear()
            settled = node.examine(raw, (), findings)
            _check_name(raw, findings.problems)
            if findings.problems and self._is_dump:
                settled = self._without_problems(node, document)
            if findings.problems:
                raise _error(document, findings.problems)
        for name in findings.inert:
            effect = self._effects.get(name)
            self._effects[name] = (effect[0] + 1, effect[1]) if effect is not None else (1, origin)
        if struct is None:
            if kind == "CustomResourceDefinition":
                self._declare(raw)
            return _not_simulated(document)
        try:
            return Loaded(decode(settled, struct), raw, origin)
        except msgspec.ValidationError as error:
            findings.problems.clear()
            node.examine(raw, (), findings)
            raise _error(document, findings.problems or [Problem((), f"{error}. Correct that field.")]) from None

    def _without_problems(self, node: Node, document: Document) -> dict[str, Any]:
        """The object without the fields that have problems; those that are left stay among the findings."""
        findings, raw = self._findings, document.raw
        bad = list(findings.problems)
        for path, _ in reversed(bad):  # of a list's elements the last first: the others keep their numbers
            raw = _without(raw, path)
        findings.problems.clear()
        findings.inert.clear()
        settled = node.examine(raw, (), findings)
        _check_name(raw, findings.problems)
        if not findings.problems:
            for _, what in bad:
                self._note(f"{document.kind}: {what.partition('. ')[0]}", "that field is left out", document.origin)
        return settled

    def _note(self, what: str, taken: str, origin: Origin) -> None:
        known = self._oddities.get(what)
        count = 1 if known is None else known.count + 1
        self._oddities[what] = Oddity(what.rstrip("."), taken, count, origin if known is None else known.origin)

    def _find_leniently(self, document: Document) -> tuple[Node, type[Object] | None] | None:
        """What checks objects of this kind; in a dump a kind that Kubernetes has not is taken as a custom resource."""
        if not self._is_dump:
            return self._find(document)
        try:
            return self._find(document)
        except ManifestError:
            what = f"Kubernetes {RELEASE} has no kind {shown(document.kind)} in {shown(document.api_version)[1:-1]}"
            self._foreign[document.api_version, document.kind] = what
            return None

    def _find(self, document: Document) -> tuple[Node, type[Object] | None] | None:
        """What checks objects of this kind; None for a custom resource.

        Raises
        ------
        ManifestError
            If Kubernetes has no such kind.
        """
        api_version, kind, _, origin = document
        known = table()
        entry = known.find(api_version, kind)
        if entry is not None:
            struct = KINDS.get(kind)
            if struct is not None and group_of(struct.API_VERSION) != group_of(api_version):
                struct = None
            return root_of(kind, entry.type_name, struct), struct
        if known.is_built_in(api_version) and group_of(api_version) not in self._declared:
            at = _at(origin, ("apiVersion",) if known.versions_of(kind) else ("kind",))
            raise ManifestError(f"{at}: {_unknown_kind(known, api_version, kind)}")
        if api_version.count("/") != 1 or not all(api_version.split("/")):
            what = f"apiVersion {shown(api_version)} has not the form group/version. Correct it"
            versions = known.versions_of(kind)
            raise ManifestError(
                f"{_at(origin, ('apiVersion',))}: {what}{f' (such as {versions[0]})' if versions else ''}."
            )
        if "." not in group_of(api_version) and group_of(api_version) not in {*self._declared, "bindsim"}:
            # the API server takes no custom resource of such a group: it "should be a domain with at least one dot"
            raise ManifestError(f"{_at(origin, ('apiVersion',))}: {_unknown_kind(known, api_version, kind)}")
        return None

    def _custom(self, document: Document) -> NotSimulated:
        """A custom resource: its metadata are checked, the rest is its owner's business."""
        metadata = document.raw.get("metadata")
        findings = Findings(self._findings.epoch)
        if isinstance(metadata, dict):
            root_of(document.kind, "V1ObjectMeta", None).examine(metadata, ("metadata",), findings)
        _check_name(document.raw, findings.problems)
        if findings.problems:
            raise _error(document, findings.problems)
        return _not_simulated(document)

    def _declare(self, raw: dict[str, Any]) -> None:
        """Remember the group of a custom resource definition, whose kinds may follow."""
        spec = raw.get("spec")
        group = spec.get("group") if isinstance(spec, dict) else None
        if isinstance(group, str):
            self._declared.add(group)


def parse_object(raw: Any, origin: Origin, loader: Loader | None = None) -> Loaded | NotSimulated:
    """Check and decode one object that is already plain data, such as one inside a scenario file.

    Parameters
    ----------
    raw : what the reader of the file made of the object.
    origin : where it stands; with `base` and `document_line`, messages name the exact lines of fields.
    loader : remembers the fields without effect of all objects that it is given.

    Raises
    ------
    ManifestError
        With one line for each problem.
    """
    document = to_document(raw, origin)
    if isinstance(document, Complaint):
        raise ManifestError(document.message)
    return (loader or Loader()).take(document)


def title(kind: str, name: Any) -> str:
    """An object as messages name it: ``Pod "web-0"``."""
    bare = shown(kind)[1:-1]
    return f"{bare} {shown(name)}" if isinstance(name, str) and name else bare


def _without(value: Any, path: FieldPath) -> Any:
    """Plain data without what a path leads to; the data themselves stay as they are."""
    if not path:
        return value
    step, *rest = path
    if isinstance(value, dict) and step in value:
        if not rest:
            return {name: inner for name, inner in value.items() if name != step}
        return {**value, step: _without(value[step], tuple(rest))}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        if not rest:
            return [inner for number, inner in enumerate(value) if number != step]
        return [_without(inner, tuple(rest)) if number == step else inner for number, inner in enumerate(value)]
    return value


def _at(origin: Origin, path: FieldPath) -> str:
    return f"{origin.file}:{line_of(origin, path)}"


def _has_name(raw: dict[str, Any]) -> bool:
    metadata = raw.get("metadata")
    return metadata is not None and bool(metadata.get("name"))


def _check_name(raw: dict[str, Any], problems: list[Problem]) -> None:
    """An object must have a name; ``kubectl apply`` demands it too."""
    metadata = raw.get("metadata")
    if metadata is None:
        problems.append(Problem(("metadata",), "metadata is missing. Add it with a name."))
    elif not isinstance(metadata, dict):
        if not any(problem.path == ("metadata",) for problem in problems):
            problems.append(
                Problem(("metadata",), f"metadata must be a mapping, not {shown(metadata)}. Add a name to it.")
            )
    elif metadata.get("name") in (None, ""):
        what = "metadata.name is empty" if "name" in metadata else "metadata.name is missing"
        if metadata.get("generateName"):
            how = "generateName would make another object each time. Write a name."
            problems.append(Problem(("metadata", "generateName"), f"{what}; {how}"))
        else:
            problems.append(Problem(("metadata", "name"), f"{what}: resource name may not be empty. Write a name."))


def _error(document: Document, problems: Sequence[Problem]) -> ManifestError:
    metadata = document.raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    what = title(document.kind, name)
    origin = document.origin
    lines = sorted(
        (line_of(origin, path), f"{what}: {problem}{'' if problem.endswith(('.', '?')) else '.'}")
        for path, problem in problems[:MAX_ERRORS]
    )
    return ManifestError("\n".join(f"{origin.file}:{line}: {text}" for line, text in lines))


def _not_simulated(document: Document) -> NotSimulated:
    metadata = document.raw["metadata"]
    namespace = metadata.get("namespace") or ""
    return NotSimulated(document.kind, document.api_version, namespace, metadata["name"], document.origin)


def _unknown_kind(known: Table, api_version: str, kind: str) -> str:
    """A kind or version that Kubernetes does not have, and the one that was probably meant."""
    what = f"Kubernetes {RELEASE} has no kind {shown(kind)} in {shown(api_version)[1:-1]}. "
    if group_of(api_version) == "kustomize.config.k8s.io":
        return what + BUILD_FIRST
    versions = known.versions_of(kind)
    if versions:
        return what + f"Write apiVersion: {versions[0]}."
    here = nearest(kind, known.kinds.get(api_version, {}))
    if here is not None:
        return what + f"Did you mean {here}?"
    guess = nearest(kind, known.kind_names())
    if guess is not None:
        return what + f"Did you mean {guess} in {known.versions_of(guess)[0]}?"
    if group_of(api_version):
        return what + "Correct it; if it is a custom resource, put its CustomResourceDefinition before it."
    return what + "Correct kind or apiVersion."
