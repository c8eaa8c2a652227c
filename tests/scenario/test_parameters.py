from __future__ import annotations

from typing import Any

import pytest

from simulator.errors import ScenarioError
from simulator.scenario.parameters import parse_setting, substitute, typed_like

VALUES = {"count": 3, "mode": "Immediate", "on": True}


def filled(raw: Any) -> Any:
    return substitute(raw, VALUES, lambda path: f"s.yaml:{len(path)}")


def test_a_text_that_is_a_parameter_and_nothing_else_takes_its_type() -> None:
    assert filled({"a": "${count}", "b": ["${on}", "${mode}"], "c": 5}) == {"a": 3, "b": [True, "Immediate"], "c": 5}


def test_inside_a_longer_text_a_parameter_is_written_as_yaml_writes_it() -> None:
    assert filled("pv-${count}-${mode}-${on}") == "pv-3-Immediate-true"


@pytest.mark.parametrize(("raw", "words"), [
    ({"a": ["${cuont}"]}, 's.yaml:2: "${cuont}" is not a parameter of this scenario. Did you mean "count"? It has:'),
    ("x ${} y", 's.yaml:0: "${}" is not a parameter'),
])
def test_a_name_that_is_no_parameter_is_an_error_with_its_place_and_a_guess(raw: Any, words: str) -> None:
    with pytest.raises(ScenarioError) as problem:
        filled(raw)
    assert words in str(problem.value)


def test_a_scenario_without_parameters_says_how_to_have_one() -> None:
    with pytest.raises(ScenarioError, match=r"declare them under spec\.parameters"):
        substitute("${a}", {}, lambda path: "s.yaml:1")


@pytest.mark.parametrize(("default", "written", "value"), [
    (3, "5", 5), (3, "2.5", 2.5), (0.5, "1", 1), (True, "false", False), (False, "True", True), ("a", "5", "5"),
])
def test_a_setting_takes_the_type_of_the_default(default: Any, written: str, value: Any) -> None:
    found = typed_like(default, written, "x")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("default", "written", "words"), [
    (3, "many", "--set x=many: the parameter is a number, like 3."),
    (True, "maybe", "--set x=maybe: the parameter is true or false."),
])
def test_a_setting_of_another_type_is_an_error(default: Any, written: str, words: str) -> None:
    with pytest.raises(ScenarioError) as problem:
        typed_like(default, written, "x")
    assert str(problem.value) == words


def test_a_setting_is_a_name_and_a_value_that_may_hold_anything() -> None:
    assert parse_setting("a=b=c") == ("a", "b=c")
    for wrong in ("a", "=b", ""):
        with pytest.raises(ScenarioError, match="write KEY=VALUE"):
            parse_setting(wrong)
