"""What holds of every call, whatever its content."""

from __future__ import annotations

from typing import Any

from api_server import Server
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Object, evolve, with_meta
from simulator.cluster.admission.apply import apply_patch, merge_patch, strategic_merge_patch
from simulator.flows import Bind, Create, Delete, Evict, Patch, Refused, Update, UpdateStatus, Write
from simulator.testing.builders import make_claim, make_node, make_pod, make_set, make_volume

NAMES = ("a", "b")
LABELS = st.dictionaries(st.sampled_from(["x", "y", "Bad Key"]), st.sampled_from(["1", "2"]), max_size=2)
FINALIZERS = st.lists(st.sampled_from(["a.b/c", "orphan", "d.e/f"]), max_size=2, unique=True).map(tuple)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    name = draw(st.sampled_from(NAMES))
    obj: Any = draw(
        st.sampled_from(
            [
                make_pod(name),
                make_pod(name, nodeName="n1"),
                make_claim(name),
                make_claim(name, storage_class="s"),
                make_volume(name, node="n1"),
                make_node(name),
                make_set(name),
                make_set(name, replicas=-1),
            ]
        )
    )
    return with_meta(
        obj,
        labels=draw(LABELS),
        finalizers=draw(FINALIZERS),
        generation=draw(st.integers(0, 3)),
        uid=draw(st.sampled_from(["", "", "forged"])),
        deletion_timestamp=draw(st.sampled_from([None, 5])),
    )


@st.composite
def calls(draw: st.DrawFn, server: Server) -> Write:
    """A call about what exists, or about nothing; based on what is stored, an older version, or none."""
    stored = [obj for kind in server.store.kinds() for obj in server.store.of_kind(kind).values()]
    if not stored or draw(st.integers(0, 3)) == 0:
        return Create(draw(objects()))
    obj: Any = draw(st.sampled_from(stored))
    other: Any = draw(objects())
    verb = draw(st.sampled_from(["update", "status", "patch", "merge", "delete", "evict", "bind", "same"]))
    version = draw(st.sampled_from([obj.metadata.resource_version, obj.metadata.resource_version, 1, 0]))
    if verb == "delete":
        return Delete(
            obj.key,
            uid=draw(st.sampled_from(["", obj.metadata.uid, "x"])),
            grace=draw(st.sampled_from([None, 0, 5, -1])),
            propagation=draw(st.sampled_from([None, "Background", "Foreground", "Orphan"])),
        )
    if verb in ("evict", "bind") and isinstance(obj, Pod):
        return Evict(obj.key) if verb == "evict" else Bind(obj.key, obj.metadata.uid, "n2")
    if verb == "merge":
        edit = draw(st.sampled_from([merge_patch, strategic_merge_patch, apply_patch]))
        return Patch(obj.key, edit, ({"metadata": {"labels": draw(LABELS)}},))
    if verb == "same":
        return Update(evolve(obj))
    changed = with_meta(
        obj,
        labels=draw(LABELS),
        finalizers=draw(FINALIZERS),
        resource_version=version,
        creation_timestamp=draw(st.sampled_from([None, 77])),
        generation=draw(st.integers(0, 9)),
    )
    if isinstance(other, type(obj)) and draw(st.booleans()):
        changed = evolve(changed, spec=other.spec)
    if verb == "status":
        return UpdateStatus(evolve(changed, status=other.status) if isinstance(other, type(obj)) else changed)
    return Update(changed)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_call_keeps_the_promises_of_the_api(data: st.DataObject) -> None:
    server = Server()
    for step in range(data.draw(st.integers(1, 12), label="calls")):
        server.now = step
        write = data.draw(calls(server), label=f"call {step}")
        key = write.obj.key if isinstance(write, (Create, Update, UpdateStatus)) else write.key
        before: Any = server.store.find(key)
        version, seen = server.store.version, len(server.changes)
        answer = server.answer(write)
        after: Any = server.store.find(key)
        if isinstance(answer, Refused):
            assert server.store.version == version, "a refused call changes nothing"
            assert answer.message
            assert after is before
            continue
        if after is None and answer is not None:  # a write that let go of what was being deleted
            assert answer.metadata.is_terminating
            assert not answer.metadata.finalizers
        else:
            assert answer is after, "the answer is what is stored"
        if after is before:
            assert server.store.version == version, "what changes nothing keeps the version"
            assert len(server.changes) == seen
        elif before is not None and after is not None:
            check_change(before, after, write)
        elif after is not None:
            assert after.metadata.creation_timestamp == step
            assert after.metadata.deletion_timestamp is None
            assert after.metadata.uid not in ("", "forged")


def check_change(before: Any, after: Any, write: Write) -> None:
    old, new = before.metadata, after.metadata
    assert (new.uid, new.name, new.namespace) == (old.uid, old.name, old.namespace)
    assert new.creation_timestamp == old.creation_timestamp
    assert new.resource_version > old.resource_version
    assert new.generation >= old.generation
    assert before != evolve(after, metadata=evolve(new, resource_version=old.resource_version)), "something changed"
    if not isinstance(write, (Delete, Evict)):
        assert new.deletion_timestamp == old.deletion_timestamp
        assert set(new.finalizers) <= set(old.finalizers) or old.deletion_timestamp is None
        same = after.spec == before.spec or isinstance(write, Bind) or not old.generation
        assert (new.generation == old.generation) == same, "a generation is a change of the spec"
    if isinstance(write, UpdateStatus):
        assert after.spec == before.spec
    elif isinstance(write, Update):
        assert after.status == before.status
    if isinstance(after, PersistentVolumeClaim):
        assert after.spec.access_modes == before.spec.access_modes


@settings(max_examples=60, deadline=None)
@given(first=objects(), second=objects())
def test_the_same_calls_give_the_same_answers(first: Object, second: Object) -> None:
    def history() -> list[Any]:
        server = Server()
        return [server.answer(Create(obj)) for obj in (first, second, first)]

    assert history() == history()


@settings(max_examples=60, deadline=None)
@given(obj=objects())
def test_what_is_stored_once_is_accepted_as_it_is_again(obj: Object) -> None:
    server = Server()
    answer = server.answer(Create(obj))
    if not isinstance(answer, Refused):
        copy: Any = with_meta(answer, uid="", resource_version=0)
        assert not isinstance(Server().answer(Create(copy)), Refused)
