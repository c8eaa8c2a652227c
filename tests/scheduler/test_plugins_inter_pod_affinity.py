"""InterPodAffinity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import Namespace, Pod
from simulator.api.meta import decode, with_meta
from simulator.scheduler.framework import SUCCESS, Code
from simulator.scheduler.plugins import InterPodAffinity, default_profile
from simulator.testing.builders import HOSTNAME, apart, make_node, make_pod
from tests.scheduler.snapshots import answers, on, reasons, scores, snapshot_of

AFFINITY = ["node(s) didn't match pod affinity rules"]
ANTI = ["node(s) didn't match pod anti-affinity rules"]
EXISTING = ["node(s) didn't satisfy existing pods anti-affinity rules"]
PLUGIN = InterPodAffinity()


def term(app: str | None = "x", key: str = "zone", **more: Any) -> dict[str, Any]:
    selector = {} if app is None else {"labelSelector": {"matchLabels": {"app": app}}}
    return {"topologyKey": key, **selector, **more}


def near(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def away(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def soft(kind: str, *terms: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    listed = [{"weight": weight, "podAffinityTerm": each} for weight, each in terms]
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": listed}}


def pod(name: str = "p", app: str = "x", **spec: Any) -> Pod:
    return make_pod(name, labels={"app": app}, uid=name, **spec)


def nodes(**zone_of: str | None) -> list[Any]:
    return [make_node(name, labels={"zone": zone} if zone else {}) for name, zone in zone_of.items()]


def namespace(name: str, **labels: str) -> Namespace:
    return decode({"metadata": {"name": name, "labels": labels}}, Namespace)


@pytest.mark.rule("SC-81")
def test_a_pod_that_nobody_minds_is_not_filtered() -> None:
    snapshot = snapshot_of(*nodes(a="1"), on(pod("there", affinity=away(term("other"))), "a"))
    assert reasons(PLUGIN, pod(), snapshot) == "skip"


@pytest.mark.rule("SC-82")
@pytest.mark.rule("SC-83")
def test_affinity_needs_a_peer_in_the_domain() -> None:
    snapshot = snapshot_of(*nodes(a="1", b="1", c="2", d=None), on(pod("there"), "a"))
    assert reasons(PLUGIN, pod(affinity=near(term())), snapshot) == {"a": "ok", "b": "ok", "c": AFFINITY, "d": AFFINITY}


@pytest.mark.rule("SC-81")
def test_a_peer_must_match_all_terms_and_counts_in_each_terms_domain() -> None:
    both = with_meta(pod("both"), labels={"app": "x", "tier": "t"})
    tier = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"tier": "t"}}}
    snapshot = snapshot_of(*nodes(a="1", b="2"), on(pod("one"), "a"), on(both, "b"))
    assert reasons(PLUGIN, pod(affinity=near(term(), tier)), snapshot) == {"a": AFFINITY, "b": "ok"}


@pytest.mark.rule("SC-82")
def test_the_first_of_a_group_may_start_anywhere_with_the_keys() -> None:
    assert reasons(PLUGIN, pod(affinity=near(term())), snapshot_of(*nodes(a="1", b=None))) == {"a": "ok", "b": AFFINITY}
    stranger = pod(app="y", affinity=near(term("x")))
    assert reasons(PLUGIN, stranger, snapshot_of(*nodes(a="1"))) == {"a": AFFINITY}


@pytest.mark.rule("SC-82")
@pytest.mark.rule("SC-83")
def test_own_anti_affinity_keeps_away_and_a_missing_label_never_does() -> None:
    snapshot = snapshot_of(*nodes(a="1", b="1", c="2", d=None), on(pod("there"), "a"), on(pod("here"), "d"))
    found: Any = answers(PLUGIN, pod(affinity=away(term())), snapshot)
    assert reasons(PLUGIN, pod(affinity=away(term())), snapshot) == {"a": ANTI, "b": ANTI, "c": "ok", "d": "ok"}
    assert found["a"].code is Code.UNSCHEDULABLE


@pytest.mark.rule("SC-81")
@pytest.mark.rule("SC-82")
def test_existing_pods_keep_others_away() -> None:
    hermit = on(pod("hermit", app="h", affinity=away(term("x"))), "a")
    snapshot = snapshot_of(*nodes(a="1", b="1", c="2"), hermit)
    assert reasons(PLUGIN, pod(), snapshot) == {"a": EXISTING, "b": EXISTING, "c": "ok"}
    assert reasons(PLUGIN, pod(app="y"), snapshot) == "skip"


@pytest.mark.rule("SC-82")
def test_own_rules_are_told_before_those_of_others() -> None:
    hermit = on(pod("hermit", affinity=away(term("x"))), "a")
    snapshot = snapshot_of(*nodes(a="1"), hermit)
    assert reasons(PLUGIN, pod(affinity=away(term())), snapshot) == {"a": ANTI}
    assert reasons(PLUGIN, pod(affinity={**near(term("gone")), **away(term())}), snapshot) == {"a": AFFINITY}
    found: Any = answers(PLUGIN, pod(affinity=near(term("gone"))), snapshot)
    assert found["a"].code is Code.UNRESOLVABLE


@pytest.mark.rule("SC-77")
def test_a_terminating_pod_still_counts() -> None:
    leaving = with_meta(on(pod("there"), "a"), deletion_timestamp=1)
    assert reasons(PLUGIN, pod(affinity=away(term())), snapshot_of(*nodes(a="1"), leaving)) == {"a": ANTI}


@pytest.mark.rule("SC-80")
@pytest.mark.parametrize(("scope", "counts"), [
    ({}, False),
    ({"namespaces": ["far"]}, True),
    ({"namespaces": ["elsewhere"]}, False),
    ({"namespaceSelector": {}}, True),
    ({"namespaceSelector": {"matchLabels": {"team": "t"}}}, True),
    ({"namespaceSelector": {"matchLabels": {"team": "u"}}}, False),
    ({"namespaceSelector": {"matchLabels": {"team": "u"}}, "namespaces": ["far"]}, True),
])
def test_terms_reach_as_far_as_their_namespaces(scope: dict[str, Any], counts: bool) -> None:
    world = [*nodes(a="1"), namespace("far", team="t"), namespace("default")]
    there = on(make_pod("there", namespace="far", labels={"app": "x"}), "a")
    own = reasons(PLUGIN, pod(affinity=away(term(**scope))), snapshot_of(*world, there))
    assert own == {"a": ANTI if counts else "ok"}
    hermit = on(pod("hermit", affinity=away(term(**scope))), "a")
    far = make_pod("p", namespace="far", labels={"app": "x"})
    assert reasons(PLUGIN, far, snapshot_of(*world, hermit)) == ({"a": EXISTING} if counts else "skip")


@pytest.mark.rule("SC-80")
def test_a_term_without_selector_means_nobody() -> None:
    snapshot = snapshot_of(*nodes(a="1"), on(pod("there"), "a"))
    assert reasons(PLUGIN, pod(affinity=away(term(None))), snapshot) == {"a": "ok"}
    assert reasons(PLUGIN, pod(affinity=near(term(None))), snapshot) == {"a": AFFINITY}


@pytest.mark.rule("SC-46")
def test_counts_follow_pods_that_are_taken_away_or_added_in_thought() -> None:
    hermit, peer = pod("hermit", app="h", affinity=away(term("x"))), pod("peer", app="z")
    snapshot = snapshot_of(*nodes(a="1", b="2"), on(hermit, "a"), on(peer, "a"))
    me = pod(affinity={**near(term("z")), **away(term("h"))})
    state = PLUGIN.pre_filter(me, snapshot).state
    a, b = snapshot.nodes
    assert PLUGIN.filter(state, me, a, snapshot).reasons == tuple(ANTI)
    alone = PLUGIN.remove_pod(state, me, hermit, a, snapshot)
    assert PLUGIN.filter(alone, me, a, snapshot) is SUCCESS
    assert PLUGIN.add_pod(alone, me, hermit, a, snapshot) == state
    assert not PLUGIN.remove_pod(alone, me, peer, a, snapshot).affinity, "a count of zero is no count"
    assert PLUGIN.filter(PLUGIN.add_pod(alone, me, peer, b, snapshot), me, b, snapshot) is SUCCESS


PLACED = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["n0", "n1", "n2"]), st.booleans(), st.booleans()),
                  max_size=5)


@given(placed=PLACED, zones=st.lists(st.sampled_from(["1", "2", None]), min_size=3, max_size=3), own=st.booleans(),
       peer=st.booleans())
@pytest.mark.rule("SC-82")
def test_the_counts_say_what_going_through_all_pairs_says(placed: Any, zones: Any, own: bool, peer: bool) -> None:
    world = {f"n{number}": zone for number, zone in enumerate(zones)}
    others = [
        (on(pod(f"o{number}", app=app, affinity=away(term("a"), term("b", HOSTNAME)) if repels else
                (near(term("a")) if attracts else None)), node), node, app, repels)
        for number, (app, node, repels, attracts) in enumerate(placed)
    ]
    rules = {**(away(term("b")) if own else {}), **(near(term("a")) if peer else {})}
    snapshot = snapshot_of(*nodes(**world), *(other for other, *_ in others))
    found = reasons(PLUGIN, pod(app="a", affinity=rules), snapshot)
    peers = {world[node] for _, node, app, _ in others if app == "a" and world[node]}
    for name, zone in world.items():
        expected: Any = "ok"
        if peer and (zone is None or (peers and zone not in peers)):
            expected = AFFINITY
        elif own and zone and any(app == "b" and world[node] == zone for _, node, app, _ in others):
            expected = ANTI
        elif zone and any(repels and world[node] == zone for _, node, _, repels in others):
            expected = EXISTING
        assert (found[name] if found != "skip" else "ok") == expected


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-94")
def test_preferences_add_up_both_ways() -> None:
    fan = on(pod("fan", app="y", affinity=soft("podAffinity", (10, term("x")))), "a")
    foe = on(pod("foe", app="z", affinity=soft("podAntiAffinity", (40, term("x")))), "b")
    snapshot = snapshot_of(*nodes(a="1", b="2", c="3"), fan, foe)
    assert scores(PLUGIN, pod(), snapshot) == {"a": 100, "b": 0, "c": 80}
    mine = pod(affinity=soft("podAffinity", (30, term("z"))))
    assert scores(PLUGIN, mine, snapshot) == {"a": 100, "b": 0, "c": 50}


@pytest.mark.rule("SC-94")
def test_required_affinity_of_existing_pods_attracts_with_the_weight_of_the_profile() -> None:
    clingy = on(pod("clingy", app="y", affinity=near(term("x"))), "a")
    fan = on(pod("fan", app="y", affinity=soft("podAffinity", (2, term("x")))), "b")
    snapshot = snapshot_of(*nodes(a="1", b="2", c="3"), clingy, fan)
    assert scores(PLUGIN, pod(), snapshot) == {"a": 50, "b": 100, "c": 0}

    def with_arguments(**arguments: Any) -> Any:
        plugin = next(each for each in default_profile({"InterPodAffinity": arguments}).filters
                      if isinstance(each, InterPodAffinity))
        return scores(plugin, pod(), snapshot)

    assert with_arguments(hardPodAffinityWeight=8) == {"a": 100, "b": 25, "c": 0}
    assert with_arguments(hardPodAffinityWeight=0) == {"a": 0, "b": 100, "c": 0}
    assert with_arguments(ignorePreferredTermsOfExistingPods=True) == "skip"


@pytest.mark.rule("SC-94")
def test_nothing_that_attracts_or_repels_means_no_score() -> None:
    snapshot = snapshot_of(*nodes(a="1"), on(pod("there", affinity=apart("x")), "a"))
    assert scores(PLUGIN, pod(affinity=apart("x")), snapshot) == "skip"


@pytest.mark.rule("SC-94")
def test_equal_sums_are_all_zero() -> None:
    fans = [on(pod(f"fan{node}", app="y", affinity=soft("podAffinity", (10, term("x")))), node) for node in "ab"]
    assert scores(PLUGIN, pod(), snapshot_of(*nodes(a="1", b="2"), *fans)) == {"a": 0, "b": 0}
