"""Texts to documents: YAML or JSON, lists unpacked, each object with its origin."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from simulator.manifests.json_reader import read_json
from simulator.manifests.origin import FieldPath, Origin, Source
from simulator.manifests.parsed import Malformed, Parsed
from simulator.manifests.suggest import shown
from simulator.manifests.yaml_reader import read_yaml

BUILD_FIRST: Final = "Build it first (kubectl kustomize FOLDER | bindsim run -)."
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Document(NamedTuple):
    """One object as it was written."""

    api_version: str
    kind: str
    raw: dict[str, Any]
    origin: Origin


class Complaint(NamedTuple):
    """Something in a text that is no object, or not readable at all; the message is complete."""

    message: str


def read_documents(source: Source, content: bytes) -> Iterator[Document | Complaint]:
    """Everything that a text holds, in its order; reading ends at the first place that is not YAML or JSON."""
    try:
        for parsed in _parse(source.name, content):
            value = parsed.value
            if value.__class__ is dict:
                kind = value.get("kind")
                if kind.__class__ is str and kind.endswith("List") and "items" in value:
                    yield from _items(source, parsed)
                else:
                    yield to_document(value, Origin(source.name, parsed.line, source=source))
            elif value.__class__ is list:
                yield from _elements(source, parsed, value, ())
            else:
                yield to_document(value, Origin(source.name, parsed.line))
    except Malformed as error:
        yield Complaint(f"{source.name}:{error.line}: {str(error).rstrip('.')}.{_hint(content)}")


def _parse(name: str, content: bytes) -> Iterator[Parsed]:
    """The documents of a text.

    Raises
    ------
    Malformed
        If it is neither YAML nor JSON.
    """
    if content.startswith(_UTF16):
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError:
            raise Malformed(1, "not text: it begins like UTF-16 and is not. Save it as UTF-8") from None
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise Malformed(
            line, f"not UTF-8 (byte 0x{byte:02x}). Save it as UTF-8, or check that it is a manifest"
        ) from None
    is_json = name.lower().endswith(".json")
    if not is_json and text.lstrip()[:1] not in ("{", "["):
        return read_yaml(content)
    try:
        return iter(list(read_json(text)))
    except Malformed as json_error:
        if not json_error.is_syntax:
            raise
        try:
            return iter(list(read_yaml(content)))
        except Malformed as yaml_error:
            raise (json_error if is_json or json_error.line > yaml_error.line else yaml_error) from None


def _hint(content: bytes) -> str:
    if b"{{" in content:
        return " It looks like a Helm template: render it first (helm template CHART | bindsim run -)."
    return ""


def to_document(raw: Any, origin: Origin) -> Document | Complaint:
    """An object, if it says what it is."""
    if raw.__class__ is not dict:
        return Complaint(
            f"{origin}: {shown(raw)} is not a Kubernetes object. Write a mapping with apiVersion, kind and metadata."
        )
    kind, api_version = raw.get("kind"), raw.get("apiVersion")
    if isinstance(kind, str) and isinstance(api_version, str) and kind and api_version:
        return Document(api_version, kind, raw, origin)
    if os.path.basename(origin.file).startswith("kustomization.y"):
        return Complaint(f"{origin}: a file for kustomize, not a manifest. {BUILD_FIRST}")
    if not kind or not api_version:
        missing = "kind" if not kind else "apiVersion"
        example = "kind: PersistentVolume" if not kind else "apiVersion: v1"
        return Complaint(f"{origin}: {missing} is missing. Every object says what it is; add it (such as {example}).")
    wrong = "kind" if kind.__class__ is not str else "apiVersion"
    return Complaint(f"{origin}: {wrong} must be text, not {shown(raw[wrong])}. Write it in quotes if it is a name.")


def _items(source: Source, parsed: Parsed) -> Iterator[Document | Complaint]:
    """The objects of a list as ``kubectl get -o yaml`` prints it."""
    items = parsed.value["items"]
    if items is None:
        return
    if items.__class__ is not list:
        at = f"{source.name}:{parsed.line}"
        yield Complaint(f"{at}: items must be a list, not {shown(items)}. Begin each object with a dash.")
        return
    of = parsed.value["kind"].removesuffix("List")
    if of:
        # The API server leaves kind and apiVersion out of the items of a PodList.
        defaults = {"apiVersion": parsed.value.get("apiVersion"), "kind": of}
        items = [{**defaults, **item} if item.__class__ is dict and "kind" not in item else item for item in items]
    yield from _elements(source, parsed, items, ("items",))


def _elements(source: Source, parsed: Parsed, elements: list[Any], base: FieldPath) -> Iterator[Document | Complaint]:
    """The objects of a list, lists within it unpacked too."""
    lines = parsed.item_lines if len(parsed.item_lines) == len(elements) else [parsed.line] * len(elements)
    waiting = [(element, lines[index], (*base, index)) for index, element in enumerate(elements)]
    waiting.reverse()
    while waiting:
        element, line, path = waiting.pop()
        origin = Origin(source.name, line, path, parsed.line, source)
        if element.__class__ is not dict:
            yield Complaint(
                f"{origin}: element {path[-1]} of the list is {shown(element)}, not a Kubernetes object. "
                "Write a mapping with apiVersion, kind and metadata."
            )
        elif element.get("kind") == "List" and element.get("items").__class__ is list:
            inner = [(each, line, (*path, "items", index)) for index, each in enumerate(element["items"])]
            waiting.extend(reversed(inner))
        else:
            yield to_document(element, origin)
