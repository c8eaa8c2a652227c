"""Whatever gets stuck in a small cluster is explained, and what mends it is found."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings

from simulator import explain, run
from simulator.diagnosis.explain import Explainer
from simulator.report.why import why_data, why_lines
from simulator.testing.strategies import SmallCluster, small_clusters

SOME = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@SOME
@given(small_clusters())
def test_the_wait_for_graph_holds_exactly_what_is_stuck(cluster: SmallCluster) -> None:
    played = run(cluster.scenario(), seed=0)
    assume(played.verdict == "stuck")
    web = Explainer(played.log).web
    assert {str(key) for key in played.waiting} <= web.graph.deadlocked
    assert {str(key) for key in web.keys} == {str(key) for key in played.waiting}
    below = {name for knot in web.graph.knots for name in (*knot, *web.graph.waiting_for(knot))}
    assert {str(key) for key in played.waiting} <= below


@SOME
@given(small_clusters())
def test_what_is_stuck_has_a_core_and_a_repair(cluster: SmallCluster) -> None:
    played = run(cluster.scenario(), seed=0)
    assume(played.verdict == "stuck")
    found = explain(played)
    assert found.stuck and all(knot.cores or knot.remark or knot.alike for knot in found.stuck)
    assert any(knot.cores for knot in found.stuck) and found.repairs
    assert why_lines(found, is_full=True) and why_data(found)["stuck"]
