"""No input, however malformed, ends in anything but a ManifestError."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import ManifestError
from simulator.manifests import load
from simulator.manifests.yaml_reader import read_yaml

DUMP = Path(__file__).parent / "data" / "dump.yaml"
(PARSED,) = read_yaml(DUMP.read_bytes())
ITEMS: list[dict[str, Any]] = PARSED.value["items"]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["", "10Gi", "1e9999", "-5", "2026-01-01T00:00:00Z", "y", "v1", "Pod", "List", "a\nb", "\x85", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def attempt(content: bytes) -> None:
    """Load, and see that a complaint is one printable line for each error."""
    try:
        load(["-"], io.TextIOWrapper(io.BytesIO(content)))
    except ManifestError as error:
        for line in str(error).split("\n"):
            assert line.startswith(("stdin", "There are more")), line
            assert line.isprintable(), line
            assert line[-1] in ".?)", line


@given(st.binary())
def test_arbitrary_bytes(content: bytes) -> None:
    attempt(content)


@given(st.text(alphabet="abkind: -[]{}&*!|>'\"%#\n\t,?@`~.0123<=", max_size=80))
def test_arbitrary_text_of_yaml_signs(text: str) -> None:
    attempt(text.encode())


@given(st.text())
def test_arbitrary_text(text: str) -> None:
    attempt(text.encode(errors="surrogatepass"))


@given(st.dictionaries(st.sampled_from(["apiVersion", "kind", "metadata", "items", "spec", "status"]), anything))
def test_arbitrary_objects(value: dict[str, Any]) -> None:
    attempt(json.dumps(value).encode())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in steps for place in places(inner, (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_real_object_with_something_changed(data: st.DataObject) -> None:
    item = copy.deepcopy(data.draw(st.sampled_from(ITEMS)))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from([place for place in places(item) if place]))
        holder = item
        for step in way:
            holder = holder[step]
        action = data.draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if action == "replace":
            holder[last] = data.draw(anything)
        elif action == "remove":
            del holder[last]
        elif isinstance(holder, dict) and action == "rename":
            holder[data.draw(st.text())] = holder.pop(last)
        elif isinstance(holder, dict):
            holder[data.draw(st.text())] = data.draw(anything)
        else:
            holder.append(data.draw(anything))
    attempt(json.dumps(item).encode())
    attempt(yaml.safe_dump(item, allow_unicode=True).encode(errors="surrogatepass"))


@given(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 40))
def test_a_real_manifest_with_some_bytes_overwritten(place: int, junk: bytes, length: int) -> None:
    content = DUMP.read_bytes()[:4000]
    attempt(content[:place] + junk + content[place + length :])
