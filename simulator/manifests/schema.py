"""Does an object have the fields and types that its kind has? Asked quickly of all, thoroughly of the few that say no.

A `Node` is one struct at one place of a kind: what the table of 1.36 says of its fields, joined with what our own
struct does with them. `Node.accepts` answers for the common case in about half a microsecond a mapping: it remembers,
for each set of keys it has seen, what to compare. Whatever it is not certain of goes to `Node.examine`, which names
every problem and settles what manifests and structs write differently: points in time, resource versions, nulls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from simulator.api.meta import Inert, Object, ObjectMeta
from simulator.manifests import words
from simulator.manifests.hints import NO_HINT, element_hint, hint_of, required_of, without_none
from simulator.manifests.origin import FieldPath
from simulator.manifests.table import table
from simulator.manifests.times import EPOCH, parse_time
from simulator.units import quantity


class Problem(NamedTuple):
    """Something wrong with an object: where, and what (with how to mend it)."""

    path: FieldPath
    what: str


class Findings:
    """What an examination brings to light besides the object itself.

    Attributes
    ----------
    inert : a name for each field that is set and has no effect, such as ``Pod spec.containers[].env``, as often as set.
    epoch : the point in time that is simulated time 0.
    newest : the latest point in time that was met.
    """

    __slots__ = ("epoch", "inert", "newest", "problems")

    def __init__(self, epoch: str = EPOCH) -> None:
        self.problems: list[Problem] = []
        self.inert: list[str] = []
        self.epoch = epoch
        self.newest: int | None = None


_TEXT: Final = (str,)
_NUMBERS: Final = (str, int, float)
_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
_NOTHING: Final[tuple[Any, ...]] = (None, "", {}, [])
_MOST_PLANS: Final = 500

Check = tuple[str, tuple[type, ...], "Callable[[Any, Findings], bool] | None"]


class Field:
    """One field: its type in the table, and what our struct makes of it."""

    __slots__ = ("code", "element", "hint", "is_counted", "name", "node", "pattern")

    def __init__(self, code: str, hint: Any, pattern: str, within: Node, is_counted: bool) -> None:
        self.code = code
        self.pattern = pattern
        hint = without_none(hint)
        is_inert = hint is NO_HINT or hint is Inert
        self.hint = NO_HINT if is_inert else hint
        self.is_counted = is_counted and is_inert
        is_counted = is_counted and not is_inert
        self.element: Field | None = None
        self.node: Node | None = None
        self.name = f"{within.kind} {pattern}"
        if code[0] in "[{":
            inner = element_hint(hint) if not is_inert else NO_HINT
            self.element = Field(code[1:], inner, pattern + ("[]" if code[0] == "[" else ".*"), within, is_counted)
        elif code[0].isupper():
            struct = self.hint if isinstance(self.hint, type) and issubclass(self.hint, msgspec.Struct) else None
            self.node = Node(code, struct, pattern, within.kind, is_counted, within)

    def check(self) -> tuple[tuple[type, ...], Callable[[Any, Findings], bool] | None]:
        """The classes that a value may have, and what more to ask of it."""
        code = self.code
        if self.node is not None:
            return (dict,), self.node.accepts
        if self.element is not None:
            return ((list,), _each(self.element)) if code[0] == "[" else ((dict,), _each_value(self.element))
        if code == "s":
            return (_TEXT, None) if self.hint is not int else ((), None)
        if code == "q":
            return _NUMBERS, None if self.hint is not NO_HINT else _is_quantity
        return _CHECKS[code]

    def examine(self, value: Any, path: FieldPath, findings: Findings) -> Any:
        """The value as our struct wants it; what is wrong with it goes into the findings."""
        if self.node is not None:
            if isinstance(value, dict):
                return self.node.examine(value, path, findings)
        elif self.element is not None:
            if self.code[0] == "[" and isinstance(value, list):
                settled = []
                for index, each in enumerate(value):
                    if each is None:
                        findings.problems.append(Problem((*path, index), words.empty_element(path)))
                    else:
                        settled.append(self.element.examine(each, (*path, index), findings))
                return settled
            if self.code[0] == "{" and isinstance(value, dict):
                zero = _ZEROS.get(self.element.code)
                return {
                    key: self.element.examine(zero if each is None else each, (*path, key), findings)
                    for key, each in value.items()
                    if each is not None or zero is not None
                }
        else:
            try:
                return self._scalar(value, findings)
            except ValueError as error:
                findings.problems.append(Problem(path, f"{words.path_text(path)}: {error}"))
                return None
        findings.problems.append(Problem(path, words.wrong_type(path, self.code, value)))
        return None

    def _scalar(self, value: Any, findings: Findings) -> Any:
        """A single value, checked and settled.

        Raises
        ------
        ValueError
            With what is wrong and how to mend it.
        """
        code = self.code
        if code == "a":
            return value
        if code == "q" and isinstance(value, _NUMBERS) and not isinstance(value, bool):
            try:
                quantity(value)
            except ValueError as error:
                raise ValueError(words.bad_quantity(value, error)) from None
            return value
        if code in "ilx" and isinstance(value, int) and not isinstance(value, bool):
            limit = _INT64 if code == "l" else _INT32
            if not -limit <= value < limit:
                raise ValueError(words.out_of_range(value, code))
            return value
        if (code == "b" and isinstance(value, bool)) or (code == "x" and isinstance(value, str)):
            return value
        if code == "d" and isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        if code in "st" and isinstance(value, str):
            if code == "t":
                moment = parse_time(value, findings.epoch)
                findings.newest = moment if findings.newest is None else max(moment, findings.newest)
                return moment if self.hint is int else value
            return words.whole_number(value) if self.hint is int else value
        raise ValueError(words.expected(code, value))


class Node:
    """One struct at one place of a kind; `struct` is None where nothing of it has an effect."""

    __slots__ = ("_fields", "_plans", "is_counted", "kind", "outer", "pattern", "struct", "type_name")

    def __init__(
        self,
        type_name: str,
        struct: type[msgspec.Struct] | None,
        pattern: str,
        kind: str,
        is_counted: bool,
        outer: Node | None = None,
    ) -> None:
        self.outer = outer
        self.type_name = type_name
        self.struct = struct
        self.pattern = pattern
        self.kind = kind
        self.is_counted = is_counted and struct is not ObjectMeta
        self._fields: dict[str, Field] = {}
        self._plans: dict[tuple[str, ...], tuple[list[Check], list[tuple[str, str]]] | None] = {}

    @property
    def names(self) -> list[str]:
        """The names of all fields."""
        return list(table().types[self.type_name])

    def field(self, name: str) -> Field | None:
        """The field of that name, if the kind has it here."""
        field = self._fields.get(name)
        if field is None:
            code = table().types[self.type_name].get(name)
            if code is None:
                return None
            is_counted = self.is_counted and not (
                (not self.pattern and name == "status") or (name in ("apiVersion", "kind") and "metadata" in self.names)
            )
            pattern = f"{self.pattern}.{name}" if self.pattern else name
            field = self._fields[name] = Field(code, hint_of(self.struct, name), pattern, self, is_counted)
        return field

    def accepts(self, value: dict[str, Any], findings: Findings) -> bool:
        """Whether the mapping is certainly right as it is, and can be decoded as it is."""
        keys = tuple(value)
        try:
            plan = self._plans[keys]
        except KeyError:
            plan = self._plan(keys)
        if plan is None:
            return False
        checks, inert = plan
        for key, classes, accepts in checks:
            item = value[key]
            if item.__class__ not in classes:
                return False
            if accepts is not None and not accepts(item, findings):
                return False
        for key, name in inert:
            if value[key] not in _NOTHING:
                findings.inert.append(name)
        return True

    def _plan(self, keys: tuple[str, ...]) -> tuple[list[Check], list[tuple[str, str]]] | None:
        """What to compare for this set of keys; None if one of them is unknown."""
        checks: list[Check] = []
        inert: list[tuple[str, str]] = []
        for key in keys:
            field = self.field(key)
            if field is None:
                return None
            if field.code != "a":
                checks.append((key, *field.check()))
            if field.is_counted:
                inert.append((key, field.name))
        if len(self._plans) < _MOST_PLANS:
            self._plans[keys] = checks, inert
        return checks, inert

    def examine(self, value: dict[str, Any], path: FieldPath, findings: Findings) -> dict[str, Any]:
        """The mapping as our struct wants it, without nulls; every problem goes into the findings."""
        settled: dict[str, Any] = {}
        is_complete = True
        for key, item in value.items():
            field = self.field(key)
            if field is None:
                is_complete = False
                findings.problems.append(Problem((*path, key), words.unknown_field(self, key, path)))
            elif item is not None:
                settled[key] = field.examine(item, (*path, key), findings)
                if field.is_counted and item not in _NOTHING:
                    findings.inert.append(field.name)
        if self.struct is not None and is_complete:  # a field with a typing error is not missing as well
            for name in required_of(self.struct):
                if name not in settled:
                    findings.problems.append(Problem(path, words.required((*path, name))))
        return settled


@lru_cache(maxsize=256)
def root_of(kind: str, type_name: str, struct: type[Object] | None) -> Node:
    """The node of a whole object; `struct` is None for a kind that is not simulated."""
    return Node(type_name, struct, "", kind, is_counted=struct is not None)


def _each(element: Field) -> Callable[[Any, Findings], bool] | None:
    if element.code == "a":
        return None
    classes, accepts = element.check()

    def each(value: list[Any], findings: Findings) -> bool:
        for item in value:
            if item.__class__ not in classes or (accepts is not None and not accepts(item, findings)):
                return False
        return True

    return each


def _each_value(element: Field) -> Callable[[Any, Findings], bool] | None:
    each = _each(element)
    return None if each is None else lambda value, findings: each(value.values(), findings)


def _is_quantity(value: Any, _: Findings) -> bool:
    try:
        quantity(value)
    except ValueError:
        return False
    return True


def _is_int32(value: int, _: Findings) -> bool:
    return -_INT32 <= value < _INT32


def _is_int32_or_text(value: int | str, _: Findings) -> bool:
    return isinstance(value, str) or -_INT32 <= value < _INT32


_CHECKS: Final[dict[str, tuple[tuple[type, ...], Callable[[Any, Findings], bool] | None]]] = {
    "i": ((int,), _is_int32),
    "l": ((int,), None),
    "d": ((int, float), None),
    "b": ((bool,), None),
    "x": ((int, str), _is_int32_or_text),
    "t": ((), None),
}
_ZEROS: Final[dict[str, Any]] = {"s": "", "q": "0"}
