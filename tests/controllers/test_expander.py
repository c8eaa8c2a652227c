"""The expand controller."""

from __future__ import annotations

import pytest

from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import evolve
from simulator.controllers.expander import ExpandController
from simulator.flows import Retry
from simulator.testing.builders import make_claim, make_volume
from simulator.units import quantity
from tests.controllers.volume_bench import Bench


def bound(has: str) -> PersistentVolumeClaim:
    claim = make_claim("c", request="1Gi", uid="u", volumeName="v")
    return evolve(claim, status=evolve(claim.status, phase="Bound", capacity={"storage": quantity(has)}))


def asking(claim: PersistentVolumeClaim, request: str) -> PersistentVolumeClaim:
    resources = evolve(claim.spec.resources, requests={"storage": quantity(request)})
    return evolve(claim, spec=evolve(claim.spec, resources=resources))


@pytest.mark.rule("VB-180")
def test_growing_a_claim_is_left_to_somebody_else_and_said_once() -> None:
    volume = make_volume("v", claimRef={"namespace": "default", "name": "c", "uid": "u"})
    at = Bench(ExpandController(), volume, bound("10Gi"))
    at.drain()
    assert at.events == []
    at.put(asking(at.claim("c"), "20Gi"))
    at.drain()
    assert at.events == [
        ("Normal", "ExternalExpanding", at.claim("c").key,
         "waiting for an external controller to expand this PVC")]
    at.put(at.claim("c"))
    assert not at.queue
    assert at.writes == []


@pytest.mark.rule("VB-178")
def test_a_request_up_to_what_the_claim_has_changes_nothing() -> None:
    volume = make_volume("v", claimRef={"namespace": "default", "name": "c", "uid": "u"})
    at = Bench(ExpandController(), volume, bound("10Gi"))
    at.put(asking(at.claim("c"), "10Gi"))
    at.drain()
    assert at.events == []


def test_a_volume_of_somebody_else_is_an_error() -> None:
    at = Bench(ExpandController(), make_volume("v"), bound("10Gi"))
    assert isinstance(at.sync("claims", at.claim("c")), Retry)
