"""Parameters of a scenario: ``${name}`` in its texts, replaced before anything is typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from simulator.errors import ScenarioError
from simulator.manifests.origin import FieldPath

_PLACE = re.compile(r"\$\{([^}]*)\}")


def substitute(raw: Any, values: Mapping[str, Any], where: Callable[[FieldPath], str], path: FieldPath = ()) -> Any:
    """Plain data with every ``${name}`` replaced; a text that is nothing else takes the parameter's own type.

    Parameters
    ----------
    where : from the path of a field to its place in words, such as ``scenario.yaml:7``.
    path : the way to `raw`.

    Raises
    ------
    ScenarioError
        If a name is not a parameter.
    """
    if isinstance(raw, dict):
        return {key: substitute(value, values, where, (*path, key)) for key, value in raw.items()}
    if isinstance(raw, list):
        return [substitute(value, values, where, (*path, number)) for number, value in enumerate(raw)]
    if not isinstance(raw, str) or "${" not in raw:
        return raw

    def value(name: str) -> Any:
        if name not in values:
            hint = known_parameters(name, values)
            raise ScenarioError(f'{where(path)}: "${{{name}}}" is not a parameter of this scenario. {hint}')
        return values[name]

    whole = _PLACE.fullmatch(raw)
    return value(whole[1]) if whole is not None else _PLACE.sub(lambda found: _text(value(found[1])), raw)


def _text(value: Any) -> str:
    """A value inside a longer text, as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def known_parameters(name: str, values: Mapping[str, Any]) -> str:
    """A sentence that helps somebody who named a parameter wrongly."""
    if not values:
        return "It has no parameters; declare them under spec.parameters."
    near = get_close_matches(name, values, 1)
    return (f'Did you mean "{near[0]}"? ' if near else "") + f"It has: {', '.join(values)}."


def parse_setting(written: str) -> tuple[str, str]:
    """Split ``KEY=VALUE``.

    Raises
    ------
    ScenarioError
        If there is no "=".
    """
    name, sign, value = written.partition("=")
    if not sign or not name:
        raise ScenarioError(f'--set {written}: write KEY=VALUE, such as --set volumesPerNode=2.')
    return name, value


def typed_like(default: Any, written: str, name: str) -> Any:
    """The value of a setting, in the type of the parameter's default.

    Raises
    ------
    ScenarioError
        If the text is not of that type.
    """
    if isinstance(default, bool):
        if written.lower() in ("true", "false"):
            return written.lower() == "true"
        raise ScenarioError(f'--set {name}={written}: the parameter is true or false.')
    if isinstance(default, (int, float)):
        try:
            return int(written)
        except ValueError:
            pass
        try:
            return float(written)
        except ValueError:
            raise ScenarioError(f"--set {name}={written}: the parameter is a number, like {default}.") from None
    return written
