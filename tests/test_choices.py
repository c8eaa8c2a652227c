from __future__ import annotations

from collections import Counter

import pytest

from simulator.api.meta import Key
from simulator.choices import TIE_POLICIES, Replay, Scripted, Seeded
from simulator.errors import ReplayDiverged
from simulator.latency import constant, parse_latency, uniform

CLAIM = Key("PersistentVolumeClaim", "default", "data-web-0")
VOLUMES = tuple(Key("PersistentVolume", "", f"pv-{i}") for i in range(3))


def frequencies(ties: str, weights: tuple[int, ...] | None = None) -> Counter[str]:
    return Counter(Seeded(seed, ties).choose("volume", CLAIM, VOLUMES, weights).name for seed in range(6000))


def test_uniform_ties_are_uniform() -> None:
    for count in frequencies("uniform", (6, 1, 1)).values():
        assert abs(count - 2000) < 4 * (6000 * 2 / 9) ** 0.5


def test_go_map_ties_follow_the_weights_of_the_slots() -> None:
    found = frequencies("go-map", (6, 1, 1))
    assert abs(found["pv-0"] - 4500) < 4 * (6000 * 3 / 16) ** 0.5
    assert abs(found["pv-1"] - 750) < 4 * (6000 * 7 / 64) ** 0.5


def test_first_and_last_take_the_ends() -> None:
    assert frequencies("first") == {"pv-0": 6000}
    assert frequencies("last") == {"pv-2": 6000}


def test_a_choice_more_does_not_shift_the_others() -> None:
    other = CLAIM._replace(name="data-web-1")
    plain, disturbed = Seeded(7), Seeded(7)
    disturbed.choose("node", other, VOLUMES)
    assert [plain.choose("volume", CLAIM, VOLUMES) for _ in range(20)] == [
        disturbed.choose("volume", CLAIM, VOLUMES) for _ in range(20)
    ]


def test_the_same_question_again_is_answered_anew() -> None:
    chooser = Seeded(1)
    assert len({chooser.choose("volume", CLAIM, VOLUMES) for _ in range(50)}) == 3


def test_every_policy_gives_a_share_to_somebody() -> None:
    for policy in TIE_POLICIES.values():
        for size in range(1, 9):
            shares = policy("volume", size, None)
            assert shares is None or sum(shares) > 0


def test_a_scripted_chooser_remembers_what_it_was_asked() -> None:
    chooser = Scripted([2])
    assert chooser.choose("volume", CLAIM, VOLUMES) == VOLUMES[2]
    assert chooser.choose("volume", CLAIM, VOLUMES[:1]) == VOLUMES[0]
    assert chooser.choose("volume", CLAIM, VOLUMES) == VOLUMES[0]
    assert [taken for *_, taken in chooser.asked] == [2, 0]


def test_a_replay_names_the_first_difference() -> None:
    replay = Replay([("volume", CLAIM, VOLUMES[1])], Seeded(0))
    assert replay.choose("volume", CLAIM, VOLUMES) == VOLUMES[1]
    with pytest.raises(ReplayDiverged, match="ends before choice 2"):
        replay.choose("volume", CLAIM, VOLUMES)
    with pytest.raises(ReplayDiverged, match="choice 1 differs: recorded volume"):
        Replay([("volume", CLAIM, VOLUMES[1])], Seeded(0)).choose("node", CLAIM, VOLUMES)


def test_delays_stay_in_their_range_and_a_constant_costs_no_draw() -> None:
    chooser = Seeded(3)
    assert chooser.delay("api", CLAIM, constant(5)) == 5
    drawn = [chooser.delay("api", CLAIM, uniform(10, 20)) for _ in range(500)]
    assert min(drawn) == 10 and max(drawn) == 19
    table = parse_latency({"0": "1ms", "0.9": "10ms", "1": "2s"})
    slow = sum(chooser.delay("api", CLAIM, table) > 10_000 for _ in range(1000))
    assert 60 < slow < 140


@pytest.mark.parametrize("written", ["5", [1], {"0": "1s"}, {"0": "2s", "1": "1s"}, ["2s", "1s"], None, 3])
def test_what_is_not_a_latency_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_latency(written)
