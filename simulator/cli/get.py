"""``bindsim get``: kubectl's tables at any moment of a logged run."""

from __future__ import annotations

import sys
from argparse import Namespace

from simulator.cli import BAD_INPUT, CONVERGED
from simulator.cli.input import read_log_file
from simulator.errors import ScenarioError
from simulator.report.kubectl import KubectlError, Query, get
from simulator.report.state import state_at
from simulator.report.watch import watch


def main(arguments: Namespace) -> int:
    """Print what ``kubectl get`` would have printed."""
    *words, path = arguments.words
    if not words:
        raise ScenarioError(
            "bindsim get: name the log of a run last, such as `bindsim get pods run.jsonl`; "
            "`bindsim run --log run.jsonl` writes one."
        )
    log = read_log_file(path)
    query = Query(
        tuple(words),
        None if arguments.all_namespaces else arguments.namespace,
        arguments.output,
        arguments.show_labels,
    )
    try:
        if arguments.watch:
            for line in watch(log, query, arguments.at or 0, arguments.timestamps, arguments.output_watch_events):
                print(line)
            return CONVERGED
        answer = get(state_at(log, arguments.at), query)
    except KubectlError as refusal:
        print(refusal, file=sys.stderr)
        return BAD_INPUT
    for line in answer.out:
        print(line)
    for line in answer.err:
        print(line, file=sys.stderr)
    return CONVERGED if answer.found else BAD_INPUT
