"""Manifests to objects: every kind and field checked, what is not simulated set aside and named."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TextIO

import msgspec

from simulator.api.kinds import KINDS
from simulator.api.meta import Object, decode
from simulator.errors import ManifestError
from simulator.manifests.documents import Complaint, Document, read_documents, to_document
from simulator.manifests.origin import Origin, line_of
from simulator.manifests.schema import Findings, Node, Problem, root_of
from simulator.manifests.sources import Unreadable, expand
from simulator.manifests.suggest import nearest, shown
from simulator.manifests.table import RELEASE, Table, group_of, table
from simulator.manifests.times import EPOCH
from simulator.units import Micros

MAX_ERRORS: Final = 20
"""More errors than this are not reported together."""


class Loaded(NamedTuple):
    """A simulated object, its plain data as written, and its place."""

    obj: Object
    raw: dict[str, Any]
    origin: Origin


class NotSimulated(NamedTuple):
    """A valid object of a kind that has no effect on the simulation."""

    kind: str
    api_version: str
    namespace: str
    name: str
    origin: Origin


class WithoutEffect(NamedTuple):
    """A valid field that is set and has no effect: how often, and where first."""

    field: str
    count: int
    origin: Origin


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """What an input holds, in the order of arguments and documents.

    Attributes
    ----------
    newest : the latest point in time that is written in the input, None if there is none; a run that begins earlier
        sees objects from its future, so load a cluster's dump with an `epoch` that is not before it.
    """

    objects: tuple[Loaded, ...]
    not_simulated: tuple[NotSimulated, ...] = ()
    without_effect: tuple[WithoutEffect, ...] = ()
    warnings: tuple[str, ...] = ()
    newest: Micros | None = None


class Loader:
    """Checks and decodes documents one by one, and remembers what a report says once for all of them."""

    def __init__(self, epoch: str = EPOCH) -> None:
        self._nodes: dict[tuple[str, str], tuple[Node, type[Object] | None] | None] = {}
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

    def take(self, document: Document) -> Loaded | NotSimulated:
        """The object of a document.

        Raises
        ------
        ManifestError
            With one line for each problem.
        """
        api_version, kind, raw, origin = document
        try:
            known = self._nodes[api_version, kind]
        except KeyError:
            known = self._nodes[api_version, kind] = self._find(document)
        if known is None:
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

    def _find(self, document: Document) -> tuple[Node, type[Object] | None] | None:
        """What checks objects of this kind; None for a custom resource.

        Raises
        ------
        ManifestError
            If Kubernetes has no such kind.
        """
        api_version, kind = document.api_version, document.kind
        known = table()
        entry = known.find(api_version, kind)
        if entry is not None:
            struct = KINDS.get(kind)
            if struct is not None and group_of(struct.API_VERSION) != group_of(api_version):
                struct = None
            return root_of(kind, entry.type_name, struct), struct
        if known.is_built_in(api_version) and group_of(api_version) not in self._declared:
            line = line_of(document.origin, ("apiVersion",) if known.versions_of(kind) else ("kind",))
            raise ManifestError(f"{document.origin.file}:{line}: {_unknown_kind(known, api_version, kind)}")
        if api_version.count("/") != 1 or not all(api_version.split("/")):
            raise ManifestError(
                f"{document.origin.file}:{line_of(document.origin, ('apiVersion',))}: apiVersion {shown(api_version)} has not the form group/version. {_or_version_of(known, kind)}"
            )
        return None

    def _custom(self, document: Document) -> NotSimulated:
        """A custom resource: its metadata are checked, the rest is its owner's business."""
        metadata = document.raw.get("metadata")
        problems: list[Problem] = []
        if isinstance(metadata, dict):
            node = Node("V1ObjectMeta", None, "metadata", document.kind, is_counted=False)
            findings = Findings(self._findings.epoch)
            node.examine(metadata, ("metadata",), findings)
            problems = findings.problems
        _check_name(document.raw, problems)
        if problems:
            raise _error(document, problems)
        return _not_simulated(document)

    def _declare(self, raw: dict[str, Any]) -> None:
        """Remember the group of a custom resource definition, whose kinds may follow."""
        spec = raw.get("spec")
        group = spec.get("group") if isinstance(spec, dict) else None
        if isinstance(group, str):
            self._declared.add(group)


def load(sources: Sequence[str], stdin: TextIO | None = None, epoch: str = EPOCH) -> Manifests:
    """Read manifests from files, folders and standard input.

    Parameters
    ----------
    sources : names of files and folders (read with everything below them), ``-`` for standard input.
    stdin : what ``-`` reads; the process's own standard input if None.
    epoch : the point in time that is simulated time 0.

    Raises
    ------
    ManifestError
        One line for each error, up to `MAX_ERRORS`: ``file:line: what is wrong. How to mend it.``
    """
    with _without_garbage_collection():
        return _collect(expand(sources, stdin), epoch)


def _collect(texts: Iterable[Any], epoch: str) -> Manifests:
    loader = Loader(epoch)
    objects: list[Loaded] = []
    others: list[NotSimulated] = []
    warnings: list[str] = []
    errors: list[str] = []
    places: dict[tuple[str, str, str], Origin] = {}
    empty: list[str] = []
    for text in texts:
        if len(errors) >= MAX_ERRORS:
            break
        if isinstance(text, Unreadable):
            errors.append(str(text))
            continue
        source, content = text
        is_empty = True
        for document in read_documents(source, content):
            is_empty = False
            if document.__class__ is Complaint:
                errors.append(document.message)
                continue
            try:
                taken = loader.take(document)
            except ManifestError as error:
                errors.extend(str(error).split("\n"))
                if len(errors) >= MAX_ERRORS:
                    break
                continue
            if taken.__class__ is NotSimulated:
                others.append(taken)
                continue
            obj = taken.obj
            metadata = obj.metadata
            key = (obj.KIND, (metadata.namespace or "default") if obj.NAMESPACED else "", metadata.name)
            first = places.setdefault(key, taken.origin)
            if first is not taken.origin:
                errors.append(
                    f"{taken.origin}: {_title(key[0], key[2])} is given twice; it stands at {first} too. "
                    "Remove one of them, or give it another name or namespace."
                )
            objects.append(taken)
        if is_empty:
            empty.append(source.name)
    if errors:
        raise ManifestError("\n".join(_first(errors)))
    if not objects and not others:
        named = ", ".join(empty[:5]) or "the input"
        raise ManifestError(f"{named}: no object in it. Name files that hold Kubernetes manifests.")
    warnings.extend(f"{name}: no object in it" for name in empty)
    return Manifests(
        objects=tuple(objects), not_simulated=tuple(others), without_effect=loader.without_effect,
        warnings=tuple(warnings), newest=loader.newest,
    )  # fmt: skip


def parse_object(raw: Any, origin: Origin, loader: Loader | None = None) -> Loaded | NotSimulated:
    """Check and decode one object that is already plain data, such as one inside a scenario file.

    Parameters
    ----------
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


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Plain data has no cycles; looking for them costs a tenth of the loading time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _first(errors: list[str]) -> list[str]:
    if len(errors) <= MAX_ERRORS:
        return errors
    return [*errors[:MAX_ERRORS], f"… and {len(errors) - MAX_ERRORS} more. Mend these first."]


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
            problems.append(Problem(("metadata",), f"metadata must be a mapping, not {shown(metadata)}. Write its fields indented below it."))
    elif metadata.get("name") in (None, ""):
        what = "metadata.name is empty" if "name" in metadata else "metadata.name is missing"
        if metadata.get("generateName"):
            problems.append(Problem(("metadata", "generateName"), f"{what}; generateName is for kubectl create, which makes another object each time. Write a name."))
        else:
            problems.append(Problem(("metadata", "name"), f"{what}: resource name may not be empty. Write a name."))


def _error(document: Document, problems: Iterable[Problem]) -> ManifestError:
    metadata = document.raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    title = _title(document.kind, name)
    origin = document.origin
    lines = [
        f"{origin.file}:{line_of(origin, path)}: {title}: {what}{'' if what.endswith(('.', '?')) else '.'}"
        for path, what in list(problems)[: MAX_ERRORS + 1]
    ]
    return ManifestError("\n".join(lines))


def _title(kind: str, name: Any) -> str:
    return f"{shown(kind)[1:-1]} {shown(name)}" if isinstance(name, str) and name else shown(kind)[1:-1]


def _not_simulated(document: Document) -> NotSimulated:
    metadata = document.raw["metadata"]
    return NotSimulated(document.kind, document.api_version, metadata.get("namespace") or "", metadata["name"], document.origin)


def _unknown_kind(known: Table, api_version: str, kind: str) -> str:
    """A kind or version that Kubernetes does not have, and the one that was probably meant."""
    named = f"{shown(kind)} in {shown(api_version)[1:-1]}"
    what = f"Kubernetes {RELEASE} has no kind {named}. "
    if group_of(api_version) == "kustomize.config.k8s.io":
        return what + "Build it first (kubectl kustomize FOLDER | bindsim run -)."
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


def _or_version_of(known: Table, kind: str) -> str:
    versions = known.versions_of(kind)
    return f"Write apiVersion: {versions[0]}." if versions else "Correct it."
