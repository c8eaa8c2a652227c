"""What kubectl 1.32 printed for each of these in JSON (annotate --local -o json), written down."""

from __future__ import annotations

import json

import pytest

from simulator.manifests.scalars import key_text, resolve_plain, resolve_tagged

AS_KUBECTL = {
    "y": "true", "Y": "true", "n": "false", "yes": "true", "Yes": "true", "on": "true", "off": "false", "OFF": "false",
    "true": "true", "True": "true", "tRue": '"tRue"', "~": "null", "null": "null", "NULL": "null", "": "null",
    "0x1F": "31", "0o17": "15", "017": "15", "0b11": "3", "1_000": "1000", "08": "8", "09.5": "9.5", "+5": "5",
    "-3": "-3", "1e3": "1000", "1.5": "1.5", "1.": "1", ".5": "0.5", "1e+3": "1000", "12:30:45": '"12:30:45"',
    "2001-01-01": '"2001-01-01"', "2026-01-01T00:00:00Z": '"2026-01-01T00:00:00Z"', "=": '"="', "0x": '"0x"',
    "1e400": '"1e400"', "3.0": "3", "0755": "493", "-0x10": "-16", "-0": "0", "+0b1": "1", "1__0": "10", "_1": '"_1"',
    "0b12": '"0b12"', "0o8": '"0o8"', "-0o17": "-15", "1e-7": "1e-07", "1.0e21": "1e+21", "12e03": "12000",
    "1_000.5": "1000.5", "5_": "5", "0x1_F": "31", "00": "0", "0o": '"0o"', "1e": '"1e"', ".": '"."', "+": '"+"',
    "-.5e3": "-500", "1.5.2": '"1.5.2"', "1,000": '"1,000"', "0B11": "3", "0X1f": "31", "0O17": "15", "-017": "-15",
    "-08": "-8", "0o-7": '"0o-7"', ".5_0": "0.5", ".5e": '".5e"', "..5": '"..5"', "0x1p-2": '"0x1p-2"', "-_": '"-_"',
    "-.": '"-."', "0xfffffffffffffffff": '"0xfffffffffffffffff"', "1e0_1": "10", "012.5": "12.5", "1_.5": "1.5",
    "+.5": "0.5", "9_223_372_036_854_775_807": "9223372036854775807", "123456789012345678": "123456789012345678",
    "node-1": '"node-1"', "10Gi": '"10Gi"', "0.1": "0.1",
}  # fmt: skip


@pytest.mark.parametrize("written", AS_KUBECTL)
def test_an_unquoted_scalar_is_read_as_kubectl_reads_it(written: str) -> None:
    assert json.dumps(resolve_plain(written)) == AS_KUBECTL[written]


@pytest.mark.parametrize("written", ["99999999999999999999", "18446744073709551615", "-1e19", "1e20"])
def test_a_whole_number_beyond_64_bits_is_a_float(written: str) -> None:
    assert resolve_plain(written) == float(written)
    assert isinstance(resolve_plain(written), float)


@pytest.mark.parametrize("written", [".inf", "-.inf", "+.INF", ".nan", ".NaN"])
def test_a_number_that_is_not_finite_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        resolve_plain(written)


def test_a_number_of_a_hundred_thousand_digits_is_text() -> None:
    assert resolve_plain("9" * 100_000) == "9" * 100_000


@pytest.mark.parametrize(
    ("tag", "written", "value"),
    [
        ("tag:yaml.org,2002:str", "5", "5"), ("tag:yaml.org,2002:int", "0x1F", 31), ("!foo", "5", "5"),
        ("tag:yaml.org,2002:bool", "yes", True), ("tag:yaml.org,2002:float", "1.50", 1.5),
        ("tag:yaml.org,2002:null", "", None), ("tag:yaml.org,2002:timestamp", "2001-01-01", "2001-01-01"),
        ("tag:yaml.org,2002:binary", "aGk=", "hi"), ("tag:yaml.org,2002:python/object:os.system", "x", "x"),
    ],
)  # fmt: skip
def test_a_tag_decides_the_type(tag: str, written: str, value: object) -> None:
    assert resolve_tagged(tag, written) == value


@pytest.mark.parametrize(("kind", "written"), [("int", "x"), ("int", "1.5"), ("bool", "3"), ("null", "x"), ("int", "")])
def test_a_value_that_is_not_of_its_tags_type_is_refused(kind: str, written: str) -> None:
    with pytest.raises(ValueError, match=f"is not a !!{kind}"):
        resolve_tagged(f"tag:yaml.org,2002:{kind}", written)


def test_keys_that_are_numbers_or_booleans_become_text() -> None:
    assert [key_text(value) for value in (8080, True, False, -3, "a", 1.5)] == [
        "8080",
        "true",
        "false",
        "-3",
        "a",
        "1.5",
    ]
    with pytest.raises(ValueError, match="null"):
        key_text(None)
