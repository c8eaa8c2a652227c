"""How provisioners behave, as experiments suppose: as the scenario says, else as far as a log lets one conclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.storage import StorageClass
from simulator.binding.names import PROVISIONED_BY, STORAGE_PROVISIONER
from simulator.binding.reference import class_of
from simulator.errors import SimulatorError
from simulator.eventlog import Log
from simulator.explanation.evidence import Evidence
from simulator.latency import Latency
from simulator.scenario.file import Provisioner, Spec
from simulator.scenario.load import Scenario, load_scenario
from simulator.scheduler.plugins.free_volumes import Reach


def behaviour_of(log: Log, scenario: Scenario | None, evidence: Evidence) -> tuple[Spec, Mapping[str, Latency]]:
    """The provisioners, tie policy and latencies of a run.

    Parameters
    ----------
    scenario : that was run. Without it, it is read again from the file that the log names, if nothing in it has
        changed since; else provisioners are judged by what they have done.
    """
    if scenario is None:
        scenario = _read_again(log.header)
    if scenario is not None:
        return scenario.spec, scenario.latencies
    return Spec(ties=log.header.get("ties", "uniform"), provisioners=tuple(_judged(evidence))), {}


def _read_again(header: Mapping[str, Any]) -> Scenario | None:
    inputs: Sequence[Mapping[str, str]] = header.get("inputs") or ()
    if not inputs or not all(_digest(each["file"]) == each["sha256"] for each in inputs):
        return None
    settings = {name: _text(value) for name, value in header.get("parameters", {}).items()}
    try:
        found = load_scenario([inputs[0]["file"]], settings)
    except SimulatorError:
        return None
    return found if found.path and found.name == header.get("scenario") else None


def _digest(file: str) -> str:
    try:
        return sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _judged(evidence: Evidence) -> list[Provisioner]:
    """Provisioners that have not answered, or have failed; and to which label they tie their volumes."""
    found: list[Provisioner] = []
    classes = evidence.state.list(StorageClass)
    claims = evidence.state.list(PersistentVolumeClaim)
    nodes = tuple(node.name for node in evidence.state.list(Node))
    external = [each.provisioner for each in classes if not each.provisioner.startswith("kubernetes.io/")]
    for name in dict.fromkeys(external):
        served = {each.name for each in classes if each.provisioner == name}
        asked = [claim for claim in claims if class_of(claim) in served and not claim.spec.volume_name
                 and STORAGE_PROVISIONER in claim.metadata.annotations]
        failed = [claim for claim in asked if evidence.event(claim.key, "ProvisioningFailed") is not None
                  and claim.spec.selector is None]  # of a claim with a selector nobody makes a volume, full or not
        is_silent = any(evidence.event(claim.key, "Provisioning") is None for claim in asked if claim not in failed)
        made = [volume for volume in evidence.state.list(PersistentVolume)
                if volume.metadata.annotations.get(PROVISIONED_BY) == name]
        topology = Reach.of(made[0]).label if made else ""
        found.append(Provisioner(name=name, absent=is_silent, topology=topology, full_on=nodes if failed else ()))
    return found
