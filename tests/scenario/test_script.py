from __future__ import annotations

from pathlib import Path

from scenario_files import POD, actions, play

from simulator.units import HOUR, MINUTE, SECOND, format_duration


def when_done(result: object) -> list[tuple[str, str]]:
    """The actions, each with its time."""
    return [(e.detail["action"], format_duration(e.time)) for e in result.log.entries  # type: ignore[attr-defined]
            if e.verb == "action"]


def test_entries_are_carried_out_in_order_each_not_before_its_time(tmp_path: Path) -> None:
    result = play(tmp_path, {"at": "10s", "sleep": "5s"}, {"at": "12s", "sleep": "1s"}, {"at": "1m", "cordon": "node1"})
    assert when_done(result) == [("sleep 5s", "10s"), ("sleep 1s", "15s"), ("cordon", "1m0.002s")]


def test_entries_without_time_follow_one_another_at_once(tmp_path: Path) -> None:
    result = play(
        tmp_path, {"at": "1s", "fail": "node1"}, {"fail": "node2"}, {"recover": "node1"}, {"recover": "node2"})
    assert [at for _, at in when_done(result)] == ["1s"] * 4


def test_an_entry_waits_for_its_conditions_and_its_time(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": POD}, {"at": "1m", "when": "Pod/web-0 is ready", "sleep": "1s"},
                  {"when": "Pod/web-0 is running and Node/node1 is ready", "delete": "Pod/web-0"})
    assert [at for _, at in when_done(result)][1] == "1m" and result.failures == ()


def test_a_condition_that_never_comes_true_is_a_failure_and_is_named(tmp_path: Path) -> None:
    result = play(tmp_path, {"when": "Pod/web-0 is ready", "sleep": "1s"}, {"cordon": "node1"})
    assert result.failures == ('"Pod/web-0 is ready" never came true',)
    assert actions(result) == [] and result.verdict == "converged"
    assert result.world.now < 10 * MINUTE


def test_an_entry_whose_time_is_still_to_come_is_waited_for_before_its_condition_is_given_up(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": POD}, {"at": "1h", "when": "Pod/web-0 is ready", "cordon": "node1"})
    assert result.failures == () and result.world.now > HOUR


def test_a_time_after_the_usual_horizon_is_reached(tmp_path: Path) -> None:
    result = play(tmp_path, {"at": "9h", "cordon": "node1"})
    assert result.verdict == "converged" and result.world.now >= 9 * HOUR


def test_a_run_that_ends_before_its_timeline_gives_no_verdict(tmp_path: Path) -> None:
    result = play(tmp_path, {"at": "1m", "apply": POD}, until="30s")
    assert result.verdict == "no verdict" and "entry 1 (apply) of the timeline was still to come" in result.why


def test_one_waits_for_a_cluster_that_is_ready_or_stuck(tmp_path: Path) -> None:
    big = {**POD, "spec": {"containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "99"}}}]}}
    result = play(tmp_path, {"apply": big}, {"when": "the cluster is stuck", "delete": "Pod/web-0"},
                  {"when": "cluster is ready", "apply": POD}, {"when": "the cluster is settled", "cordon": "node1"})
    assert result.verdict == "converged" and result.failures == ()
    assert [words for words, _ in when_done(result)] == ["apply", "delete", "apply", "cordon"]


def test_what_a_failed_machine_leads_to_is_waited_for_though_all_is_well_at_first(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": POD}, {"when": "Pod/web-0 is ready", "fail": "Node/node1"}, nodes=1)
    assert result.verdict == "stuck" and result.world.now > 50 * SECOND
