from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from simulator.manifests.json_reader import read_json
from simulator.manifests.parsed import MAX_DEPTH, Malformed
from simulator.manifests.yaml_reader import read_yaml

DUMP = Path(__file__).parent / "data" / "dump.yaml"

# Without what JSON may write as it is and YAML may not: control characters, and line ends other than \n.
words = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], include_characters="\n\t"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["libyaml", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both parsers that PyYAML may have."""
    if request.param == "Python":
        monkeypatch.setattr(yaml, "__with_libyaml__", False)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML came without libyaml")
    yield


def values(text: str | bytes) -> list[Any]:
    return [parsed.value for parsed in read_yaml(text)]


def complaint(text: str) -> str:
    with pytest.raises(Malformed) as error:
        list(read_yaml(text))
    return f"{error.value.line}: {error.value}"


@given(plain)
def test_what_json_writes_both_readers_read(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    expected = [] if value is None else [value]
    assert [parsed.value for parsed in read_json(text)] == values(text) == expected


@given(st.dictionaries(st.text("abc-_.", min_size=3), plain))
def test_what_pyyaml_writes_is_read_back(value: dict[str, Any]) -> None:
    text = yaml.dump(value, default_style='"', default_flow_style=False)
    assert values(text) == list(yaml.safe_load_all(text))


def test_a_clusters_dump_reads_as_pyyaml_reads_it(parser: None) -> None:
    assert values(DUMP.read_bytes()) == [yaml.safe_load(DUMP.read_bytes())]


def test_documents_know_their_first_line_and_lists_the_lines_of_their_items(parser: None) -> None:
    text = "# first\n---\na: 1\n---\n# nothing\n---\nitems:\n- a: 1\n  b: 2\n- c: {d: 1}\n...\n---\n- x: 1\n"
    assert [(parsed.line, parsed.item_lines) for parsed in read_yaml(text)] == [(3, []), (7, [8, 10]), (13, [13])]


def test_aliases_and_merge_keys_are_followed(parser: None) -> None:
    text = "a: &a {x: 1, z: 2}\nb: *a\nc: {<<: *a, z: 3}\nd: {z: 3, <<: *a}\ne: {<<: [{p: 1}, {p: 2, q: 3}]}\n"
    assert values(text) == [
        {
            "a": {"x": 1, "z": 2},
            "b": {"x": 1, "z": 2},
            "c": {"x": 1, "z": 3},
            "d": {"z": 2, "x": 1},
            "e": {"p": 1, "q": 3},
        }
    ]
    assert values("'<<': {a: 1}\nk: &k name\n*k : 2\n") == [{"<<": {"a": 1}, "k": "name", "name": 2}]


def test_keys_are_text_as_kubectl_makes_them(parser: None) -> None:
    assert values("8080: a\nyes: b\n0x10: c\n'1': d\n2001-01-01: e\n") == [
        {"8080": "a", "true": "b", "16": "c", "1": "d", "2001-01-01": "e"}
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", '3: key "a" is given twice'),
        ("1: a\n'1': b\n", '2: key "1" is given twice'),
        ("a:\n  ~: b\n", "2: a key is missing"),
        ("a:\n  ? [b]\n  : c\n", "2: a key must be text"),
        ("a:\n  ? {b: 1}\n  : c\n", "2: a key must be text"),
        ("? " * 3000, "1: a key must be text"),
        ("b: {x: 1}\na: {<<: {x: 1}, x: 2, x: 3}\n", '2: key "x" is given twice'),
        ("a: &a [1]\n*a : 2\n", "2: a key must be text"),
        ("\na: *b\n", "2: unknown anchor 'b' referenced"),
        ("a: 1\n---\nb: &b [1, *b]\n", "3: anchor 'b' value contains itself"),
        ("a:\n  <<: 5\n", "2: map merge requires map"),
        ("a:\n  <<: [5]\n", "2: map merge requires map"),
        ("a: 1\nb: .nan\n", "2: .nan is not a finite number"),
        ("a: !!int x\n", '1: "x" is not a !!int'),
        ("a:\n\t- b\n", "Indent with spaces"),
        ("a: [1,\n", "not YAML"),
        ("a: b: c\n", "1: not YAML"),
        ('a: "b\n', "not YAML"),
        ("a: \x01\n", "1: not YAML"),
    ],
)
def test_what_no_manifest_can_hold_is_refused_with_its_line(parser: None, text: str, expected: str) -> None:
    assert expected in complaint(text)


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "[" * 100_000, "{a: " * 3000, "- " * 3000 + "x"])
def test_deep_nesting_is_refused(parser: None, text: str) -> None:
    assert "nested more than" in complaint(text)


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, "[" * 300 + "]" * 300])
def test_deep_nesting_is_refused_in_json(text: str) -> None:
    with pytest.raises(Malformed, match="nested more than"):
        list(read_json(text))


def test_nesting_just_within_the_limit_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert len(values(text)) == len(list(read_json(text))) == 1


def test_a_yaml_bomb_is_refused(parser: None) -> None:
    names = "abcdefghijk"
    lines = [f"{name}: &{name} [{', '.join(['*' + of] * 9)}]" for of, name in pairwise(names)]
    assert "aliases of this document stand for more than" in complaint("a: &a [x, x, x]\n" + "\n".join(lines))


def test_a_bomb_of_many_anchors_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 2000)]
    assert "aliases of this document stand for more than" in complaint("\n".join(lines))


def test_ordinary_use_of_aliases_is_no_bomb() -> None:
    text = "a: &a {x: 1}\nb: [" + ", ".join(["*a"] * 1000) + "]\n"
    assert len(values(text)[0]["b"]) == 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n "a": 2}', 'key "a" is given twice'),
        ('{"a": NaN}', "NaN is not a finite number"),
        ('{"a": -Infinity}', "-Infinity is not a finite number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a" 1}', "not JSON: Expecting ':'"),
        ('{"items": [1 2]}', "not JSON: Expecting ','"),
        ('{"items": [1,]}', "not JSON"),
        ('{"items": [1], "a"}', "not JSON: Expecting ':'"),
        ('{"items": [1] "a"}', "not JSON: Expecting ','"),
        ('{"items": [1], a: 1}', "not JSON: Expecting property name"),
        ("[1, 2", "not JSON"),
    ],
)
def test_json_that_no_manifest_can_hold_is_refused(text: str, expected: str) -> None:
    with pytest.raises(Malformed) as error:
        list(read_json(text))
    assert expected in str(error.value)


def test_json_values_may_follow_each_other_and_know_their_lines() -> None:
    text = '{"a": 1}\n{"b": 3.0, "c": 18446744073709551615}\n\n{"items": [\n{"x": 1},\n {"y": 2}]}\n[\n{}\n]\n[]'
    assert [tuple(parsed) for parsed in read_json(text)] == [
        (1, {"a": 1}, []),
        (2, {"b": 3, "c": 18446744073709551615.0}, []),
        (4, {"items": [{"x": 1}, {"y": 2}]}, [5, 6]),
        (7, [{}], [8]),
        (10, [], []),
    ]
