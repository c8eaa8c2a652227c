from __future__ import annotations

from simulator.api.kinds import KINDS
from simulator.manifests.hints import NO_HINT, hint_of
from simulator.manifests.schema import Field, Node, root_of
from simulator.manifests.table import table

# Of 1.36's fields, those that our structs spell otherwise or do not have yet; decoding drops them.
NOT_IN_OUR_STRUCTS = {
    "CSIDriverSpec.preventPodSchedulingIfMissing",
    "PersistentVolumeSpec.scaleIO",
    "PodStatus.nodeAllocatableResourceClaimStatuses",
    "Volume.downwardAPI",
    "Volume.scaleIO",
}

WANTED = {
    "s": ("str", "int"),
    "i": ("int",),
    "l": ("int",),
    "b": ("bool",),
    "q": ("Quantity",),
    "t": ("int",),
    "x": ("int | str",),
    "a": ("Any",),
    "[": ("tuple",),
    "{": ("Mapping",),
}


def nodes_of(kind: str) -> list[Node]:
    """Every struct that belongs to a simulated kind, once."""
    struct = KINDS[kind]
    entry = table().find(struct.API_VERSION, kind)
    assert entry is not None
    found: dict[tuple[str, object], Node] = {}
    waiting = [root_of(kind, entry.type_name, struct)]
    while waiting:
        node = waiting.pop()
        if (node.type_name, node.struct) in found:
            continue
        found[node.type_name, node.struct] = node
        for name in node.names:
            field: Field | None = node.field(name)
            while field is not None and field.element is not None:
                field = field.element
            if field is not None and field.node is not None and field.node.struct is not None:
                waiting.append(field.node)
    return list(found.values())


def test_every_simulated_kind_is_in_the_table_and_lives_where_our_struct_says() -> None:
    for kind, struct in KINDS.items():
        entry = table().find(struct.API_VERSION, kind)
        assert entry is not None, kind
        assert entry.namespaced == struct.NAMESPACED, kind


def test_our_structs_have_every_field_of_their_kinds() -> None:
    lacking = {
        f"{node.struct.__name__}.{name}"
        for kind in KINDS
        for node in nodes_of(kind)
        for name in node.names
        if node.struct is not None and hint_of(node.struct, name) is NO_HINT and name not in ("apiVersion", "kind")
    }
    assert lacking <= NOT_IN_OUR_STRUCTS


def test_our_structs_have_the_types_of_the_table() -> None:
    for kind in KINDS:
        for node in nodes_of(kind):
            for name in node.names:
                field = node.field(name)
                assert field is not None
                if field.hint is not NO_HINT and field.node is None:
                    said = (
                        field.hint.__name__ if isinstance(field.hint, type) and not field.element else str(field.hint)
                    )
                    assert any(word in said for word in WANTED[field.code[0]]), f"{kind} {field.pattern}: {said}"


def test_the_table_knows_what_kubernetes_1_36_has_and_has_not() -> None:
    known = table()
    assert known.release == "1.36"
    assert known.find("apps/v1", "Deployment") is not None
    assert known.find("rbac.authorization.k8s.io/v1", "Role") is not None
    assert known.find("apps/v1beta1", "StatefulSet") is None
    assert known.versions_of("Event") == ["v1", "events.k8s.io/v1"]
    assert (
        known.is_built_in("v1") and known.is_built_in("storage.k8s.io/v1") and known.is_built_in("extensions/v1beta1")
    )
    assert not known.is_built_in("example.com/v1") and not known.is_built_in("snapshot.storage.k8s.io/v1")
    assert "Apache License 2.0" in known.note


def test_every_type_that_a_field_names_is_in_the_table() -> None:
    known = table()
    for name, fields in known.types.items():
        for field, code in fields.items():
            inner = code.lstrip("[{")
            assert inner in known.types or inner in "silbdqtxa", f"{name}.{field}: {code}"
