from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import Pod
from simulator.api.meta import evolve
from simulator.cluster.cache import Cache, CacheView
from simulator.cluster.component import Change
from simulator.cluster.store import Store
from simulator.testing.builders import make_pod


class Clock:
    now = 0
    memory = None


def on(pod: Pod, node: str) -> Pod:
    return evolve(pod, spec=evolve(pod.spec, node_name=node))


def test_every_change_has_the_next_version_and_is_told_after_it_happened() -> None:
    told: list[Change] = []
    store = Store(told.append)
    first = store.put(make_pod("web-0"))
    second = store.put(on(first, "node1"))
    store.remove(first.key)
    assert [first.metadata.resource_version, second.metadata.resource_version, store.version] == [1, 2, 3]
    assert [(c.old, c.new) for c in told] == [(None, first), (first, second), (second, None)]


def test_an_object_keeps_its_place_when_it_is_replaced() -> None:
    store = Store()
    for name in ("c", "a", "b"):
        store.put(make_pod(name))
    store.put(on(make_pod("a"), "node1"))
    assert [pod.name for pod in store.list(Pod)] == ["c", "a", "b"]


steps = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "node1", "node2", "gone"]), st.integers(0, 3)))


@given(steps)
def test_a_cache_shows_the_store_as_it_was_before_what_is_undelivered(history: list[tuple[str, str, int]]) -> None:
    """A cache that lags is compared with a plain copy that applies the same changes when they are delivered."""
    changes: list[Change] = []
    cache, copy = Cache(), {}

    def happened(change: Change) -> None:
        changes.append(change)
        cache.delay(change)

    store = Store(happened)
    view = CacheView(store, cache, Clock(), Clock())
    for name, node, deliveries in history:
        pod = make_pod(name)
        if node != "gone":
            store.put(on(pod, node))
        elif store.find(pod.key) is not None:
            store.remove(pod.key)
        for _ in range(min(deliveries, len(changes))):
            change = changes.pop(0)
            cache.deliver(change)
            copy[change.key] = change.new
        seen = {key: obj for key, obj in copy.items() if obj is not None}
        assert {pod.key: pod for pod in view.list(Pod)} == seen
        assert all(view.get(key) == obj for key, obj in copy.items())
        for place in ("", "node1", "node2"):
            here = {key for key, obj in seen.items() if obj.spec.node_name == place}
            assert {pod.key for pod in view.by("pods-by-node", place)} == here
