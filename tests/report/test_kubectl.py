"""Our tables against the real kubectl's: see against_kubectl.py for how the golden files came about."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from simulator.report.kubectl import KubectlError, Query, get
from simulator.report.state import State, state_at
from simulator.report.watch import watch
from tests.report.clusters import MOMENT, WATCH_FROM, columns_story, watch_story

GOLDEN = Path(__file__).parent / "kubectl"


def queries(name: str) -> list[Any]:
    lines = (GOLDEN / f"{name}.txt").read_text().splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    return [pytest.param(number, line, id=line.replace(" ", "_")) for number, line in enumerate(asked)]


@pytest.fixture(scope="module")
def state() -> State:
    return state_at(columns_story().log, MOMENT)


def as_query(line: str) -> tuple[Query, bool]:
    parser = argparse.ArgumentParser()
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("-o", dest="output", default="")
    parser.add_argument("-n", dest="namespace", default="default")
    parser.add_argument("-A", dest="everywhere", action="store_true")
    parser.add_argument("-w", dest="watch", action="store_true")
    parser.add_argument("--output-watch-events", dest="events", action="store_true")
    parser.add_argument("--show-labels", action="store_true")
    parser.add_argument("--no-headers", action="store_true")
    given = parser.parse_args(line.split())
    query = Query(
        tuple(given.arguments),
        None if given.everywhere else given.namespace,
        given.output,
        given.show_labels,
        not given.no_headers,
    )
    return query, given.events


def shown(line: str, out: list[str], err: list[str], code: int) -> str:
    printed = "".join(f"{text}\n" for text in out)
    errors = "".join(f"[stderr] {text}\n" for text in err)
    return f"$ kubectl get {line}\n{printed}{errors}[exit {code}]\n"


@pytest.mark.rule("WL-171")
@pytest.mark.parametrize(("number", "line"), queries("tables"))
def test_get_prints_what_the_real_kubectl_prints(number: int, line: str, state: State) -> None:
    answer = get(state, as_query(line)[0])
    ours = shown(line, list(answer.out), list(answer.err), 0 if answer.found else 1)
    assert ours == (GOLDEN / f"tables-{number:02}.txt").read_text()


@pytest.mark.rule("WL-171")
@pytest.mark.parametrize(("number", "line"), queries("watch"))
def test_a_watch_prints_what_the_real_kubectl_prints(number: int, line: str) -> None:
    query, events = as_query(line)
    out: list[str] = []
    err: list[str] = []
    try:
        out.extend(watch(watch_story().log, query, WATCH_FROM, events=events))
    except KubectlError as problem:
        err.append(str(problem))
    assert shown(line, out, err, 1 if err else 0) == (GOLDEN / f"watch-{number:02}.txt").read_text()
