from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.meta import Key, with_meta
from simulator.errors import ManifestError
from simulator.eventlog import Log, apply_patch, diff, read_log
from simulator.testing.builders import make_volume

plain = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=3), plain, max_size=5)


@given(objects, objects)
def test_a_patch_turns_the_old_into_the_new(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert apply_patch(before, diff(before, after)) == after


def test_a_log_read_back_gives_the_same_bytes() -> None:
    log = Log({"seed": 7})
    volume = make_volume("pv-a", node="node1")
    log.append(0, "kubectl", "create", volume.key, 1, "VB-2", None, None, volume)
    log.append(5, "binder", "update", volume.key, 2, "", None, volume, with_meta(volume, labels={"a": "b"}))
    log.append(9, "kubectl", "remove", volume.key, 3, "", None, volume, None)
    log.append(9, "scheduler", "event", Key("Pod", "default", "web-0"), detail={"reason": "Scheduled"})
    written = b"".join(log.lines())
    read = read_log(BytesIO(written), "run.jsonl")
    assert b"".join(read.lines()) == written
    assert [entry.patch for entry in read.entries[:3]][1:] == [{"metadata": {"labels": {"a": "b"}}}, None]


@pytest.mark.parametrize(
    "text",
    [b"", b"{}\n", b"[1]\n", b"junk", b'{"bindsim-log": 99}\n', b'{"bindsim-log": 1, "seed": 1}\n{"a": 1}\n'],
)
def test_what_is_not_a_log_is_refused_by_line(text: bytes) -> None:
    with pytest.raises(ManifestError, match=r"run.jsonl:"):
        read_log(BytesIO(text), "run.jsonl")
