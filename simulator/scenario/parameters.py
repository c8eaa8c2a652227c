"""Parameters of a scenario: ``${name}`` in its texts, replaced before anything is typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from simulator.errors import ScenarioError

_PLACE = re.compile(r"\$\{([^}]*)\}")


def substitute(raw: Any, values: Mapping[str, Any], where: str) -> Any:
    """Plain data with every ``${name}`` replaced; a text that is nothing else takes the parameter's own type.

    Raises
    ------
    ScenarioError
        If a name is not a parameter; `where` says which file.
    """
    if isinstance(raw, dict):
        return {key: substitute(value, values, where) for key, value in raw.items()}
    if isinstance(raw, list):
        return [substitute(value, values, where) for value in raw]
    if not isinstance(raw, str) or "${" not in raw:
        return raw
    whole = _PLACE.fullmatch(raw)
    if whole is not None:
        return _value(whole[1], values, where)
    return _PLACE.sub(lambda found: str(_value(found[1], values, where)), raw)


def _value(name: str, values: Mapping[str, Any], where: str) -> Any:
    if name not in values:
        raise ScenarioError(f'{where}: "${{{name}}}" is not a parameter of this scenario. {known_parameters(name, values)}')
    return values[name]


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
