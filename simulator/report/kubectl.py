"""``kubectl get`` on the objects of a moment: its arguments, its tables and its words (WL-171)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.kinds import KINDS, find_kind, plural
from simulator.api.meta import Key, Object
from simulator.report.columns import COLUMNS, labels_text
from simulator.report.state import State
from simulator.report.tables import TableWriter

ALL: Final = ("Pod", "Service", "StatefulSet")
"""What ``kubectl get all`` covers, as far as it is simulated."""

OUTPUTS: Final = ("", "wide", "yaml", "json", "name")


class KubectlError(Exception):
    """What kubectl refuses, as it prints it to stderr."""


class Query(Struct, frozen=True):
    """What is asked for.

    Attributes
    ----------
    arguments : as on kubectl's command line: ``("pods,pvc",)``, ``("sts", "web")``, ``("pod/web-0",)``.
    namespace : the namespace to look in; None for all (``-A``).
    output : one of `OUTPUTS`.
    """

    arguments: tuple[str, ...]
    namespace: str | None = "default"
    output: str = ""
    show_labels: bool = False
    headers: bool = True


class Answer(Struct, frozen=True):
    """What kubectl would print to stdout and to stderr, line by line; `found` is false if it would exit with 1."""

    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()
    found: bool = True


class Wanted(Struct, frozen=True):
    """A kind and, unless all of its objects are meant, one name."""

    kind: str
    name: str = ""


def get(state: State, query: Query) -> Answer:
    """Answer a query from the objects of a moment, as kubectl would."""
    try:
        wanted = parse_arguments(query)
    except KubectlError as problem:
        return Answer(err=(str(problem),), found=False)
    groups: list[tuple[str, list[Object]]] = []
    errors: list[str] = []
    for one in wanted:
        found = select(state, one, query.namespace)
        if one.name and not found:
            errors.append(f'Error from server (NotFound): {resource(one.kind)} "{one.name}" not found')
            continue
        if one.name and groups and groups[-1][0] == one.kind:
            groups[-1][1].extend(found)
        else:
            groups.append((one.kind, found))
    if query.output in ("yaml", "json"):
        out = _documents(state, query, [obj for _, found in groups for obj in found], one_asked=_is_one(wanted))
        return Answer(() if errors and _is_one(wanted) else out, tuple(errors), not errors)
    if query.output == "name":
        out = tuple(f"{typed_name(obj)}" for _, found in groups for obj in found)
        return Answer(out, tuple(errors), not errors)
    out = tuple(_tables(state, query, groups))
    if not out and not errors:
        namespaced = query.namespace is not None and all(KINDS[one.kind].NAMESPACED for one in wanted)
        errors.append(f"No resources found in {query.namespace} namespace." if namespaced else "No resources found")
        return Answer(out, tuple(errors))
    return Answer(out, tuple(errors), not errors)


def parse_arguments(query: Query) -> tuple[Wanted, ...]:
    """The kinds and names that kubectl understands by its arguments.

    Raises
    ------
    KubectlError
        In kubectl's words, if it does not understand them.
    """
    arguments = query.arguments
    if query.output not in OUTPUTS:
        allowed = ",".join(sorted(output for output in OUTPUTS if output))
        raise KubectlError(f'error: unable to match a printer suitable for the output format "{query.output}", '
                           f"allowed formats are: {allowed}")
    if not arguments:
        raise KubectlError("error: Required resource not specified.")
    wanted: list[Wanted] = []
    if any("/" in argument for argument in arguments):
        for argument in arguments:
            kind, slash, name = argument.partition("/")
            if not slash:
                raise KubectlError(
                    "error: there is no need to specify a resource type as a separate argument when passing arguments "
                    "in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of "
                    "'kubectl get resource resource/<resource_name>'"
                )
            wanted.extend(Wanted(each, name) for each in _kinds(kind))
    else:
        kinds = _kinds(arguments[0])
        names: Sequence[str] = arguments[1:] or ("",)
        wanted.extend(Wanted(kind, name) for kind in kinds for name in names)
    if query.namespace is None and any(one.name for one in wanted):
        raise KubectlError("error: a resource cannot be retrieved by name across all namespaces")
    return tuple(wanted)


def _kinds(written: str) -> list[str]:
    kinds: list[str] = []
    for name in written.split(","):
        kind = find_kind(name)
        if name.lower() == "all":
            kinds.extend(ALL)
        elif kind is None:
            raise KubectlError(f'error: the server doesn\'t have a resource type "{name}"')
        else:
            kinds.append(kind.KIND)
    return list(dict.fromkeys(kinds))


def select(state: State, wanted: Wanted, namespace: str | None) -> list[Object]:
    """The objects that are meant, sorted by namespace and name as the API lists them (WL-171)."""
    kind = KINDS[wanted.kind]
    space = (namespace or "") if kind.NAMESPACED else ""
    if wanted.name:
        found = state.find(Key(wanted.kind, space, wanted.name))
        return [found] if found is not None else []
    return sorted(state.list(kind, space), key=lambda obj: f"{obj.namespace}/{obj.name}")


def resource(kind: str) -> str:
    """A kind as kubectl names its resource: ``pods``, ``statefulsets.apps``."""
    return _with_group(plural(kind), kind)


def typed_name(obj: Object) -> str:
    """``pod/web-0``, ``statefulset.apps/web``."""
    return f"{_with_group(obj.KIND.lower(), obj.KIND)}/{obj.name}"


def _with_group(name: str, kind: str) -> str:
    group, slash, _ = KINDS[kind].API_VERSION.partition("/")
    return f"{name}.{group}" if slash else name


def _is_one(wanted: Sequence[Wanted]) -> bool:
    return len(wanted) == 1 and bool(wanted[0].name)


def _documents(state: State, query: Query, objects: Sequence[Object], one_asked: bool) -> tuple[str, ...]:
    from simulator.report.manifest import listed, printed, to_json, to_yaml

    plain = [printed(found, state.begin) for obj in objects if (found := state.plain(obj.key)) is not None]
    value = plain[0] if one_asked and plain else listed(plain)
    return tuple((to_yaml(value) if query.output == "yaml" else to_json(value)).rstrip("\n").split("\n"))


def _tables(state: State, query: Query, groups: Sequence[tuple[str, list[Object]]]) -> Iterator[str]:
    """One table per kind, separated by a blank line; with several kinds the names carry theirs."""
    with_kind = len({kind for kind, _ in groups}) > 1
    first = True
    for kind, objects in groups:
        if not objects:
            continue
        if not first and query.headers:
            yield ""
        first = False
        rows = [header(kind, query)] if query.headers else []
        rows.extend(row(obj, state.time, query, with_kind) for obj in objects)
        yield from TableWriter().write(rows)


def header(kind: str, query: Query) -> list[str]:
    """The column names of a kind's table."""
    columns = COLUMNS[kind]
    cells = list(columns.wide if query.output == "wide" else columns.narrow)
    if query.namespace is None and KINDS[kind].NAMESPACED:
        cells.insert(0, "NAMESPACE")
    return [*cells, "LABELS"] if query.show_labels else cells


def row(obj: Object, now: int, query: Query, with_kind: bool = False) -> list[str]:
    """The cells of an object's row at a moment."""
    columns = COLUMNS[obj.KIND]
    cells = columns.row(obj, now, query.output == "wide")
    shown = columns.wide if query.output == "wide" else columns.narrow
    if with_kind and "NAME" in shown:
        place = shown.index("NAME")
        cells[place] = f"{typed_name(obj).removesuffix(obj.name)}{cells[place]}"
    if query.namespace is None and obj.NAMESPACED:
        cells.insert(0, obj.namespace)
    return [*cells, labels_text(obj.metadata.labels)] if query.show_labels else cells
