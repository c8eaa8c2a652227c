"""What `check` is given, sorted: the present cluster, what is about to be applied, and the scenario that both make."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TextIO

from msgspec import Struct

from simulator.api.core import Namespace
from simulator.api.meta import Key, evolve
from simulator.errors import ManifestError, ScenarioError
from simulator.manifests.load import Manifests
from simulator.manifests.loader import MAX_ERRORS, Loaded, Loader, NotSimulated, title
from simulator.manifests.times import EPOCH
from simulator.preflight.lean import lean
from simulator.preflight.present import read_present
from simulator.preflight.result import Trouble
from simulator.preflight.texts import Text, read_texts
from simulator.scenario.file import Spec
from simulator.scenario.initial import Initial, placed, together, with_namespaces
from simulator.scenario.kubectl import Apply
from simulator.scenario.left_out import with_what_is_left_out
from simulator.scenario.load import Scenario, added_nodes, is_scenario, load_scenario, scenario_file
from simulator.scenario.timeline import Entry


class Input(Struct, frozen=True):
    """Everything that a preflight looks at.

    Attributes
    ----------
    scenario : the present cluster as initial objects, and the manifests applied to it at once.
    present : the cluster's objects; empty if there is no cluster yet.
    new : what is about to be applied.
    troubles : what is strange about the dumps.
    cluster, manifests : names of the sources of each.
    """

    scenario: Scenario
    present: tuple[Loaded, ...]
    new: tuple[Loaded, ...]
    new_not_simulated: tuple[NotSimulated, ...]
    troubles: tuple[Trouble, ...] = ()
    cluster: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()


def read_input(
    manifests: Sequence[str],
    cluster: Sequence[str] = (),
    *,
    nodes: int | None = None,
    settings: Mapping[str, str] | None = None,
    stdin: TextIO | None = None,
) -> Input:
    """Read what `check` is given.

    Parameters
    ----------
    manifests : files, folders, "-"; or one scenario. Without `cluster`, those that are dumps are the present cluster.
    cluster : files, folders, "-": the present cluster.
    nodes : so many nodes are added to the present cluster.

    Raises
    ------
    ManifestError, ScenarioError
        What is wrong, where, and how to mend it.
    """
    if not manifests and not cluster:
        raise ScenarioError("no input. Name the manifests to check, after a dump of the cluster if there is one.")
    if "-" in manifests or "-" in cluster:
        if "-" in manifests and "-" in cluster:
            raise ScenarioError('"-" is given as manifests and as the cluster, but can be read only once. Name one.')
        stdin = StringIO((stdin if stdin is not None else sys.stdin).read())
    if _names_a_scenario(manifests, stdin):
        if cluster:
            raise ScenarioError("a scenario file makes its own cluster. Give it without --cluster.")
        return _of_scenario(load_scenario(manifests, settings, nodes, stdin), manifests)
    if settings:
        name = next(iter(settings))
        raise ScenarioError(f"--set {name}: only a scenario file has parameters; these are bare manifests.")
    texts = read_texts(manifests, stdin)
    present = read_texts(cluster, stdin)
    if not cluster:
        present = [text for text in texts if text.is_dump]
        texts = [text for text in texts if not text.is_dump]
    return _of_texts(present, texts, nodes)


def _names_a_scenario(manifests: Sequence[str], stdin: TextIO | None) -> bool:
    if list(manifests) == ["-"] and stdin is not None:
        head = stdin.read()
        stdin.seek(0)
        return is_scenario(head.encode("utf-8", "surrogateescape"))
    return any(source != "-" and scenario_file(source) is not None for source in manifests)


def _of_scenario(scenario: Scenario, manifests: Sequence[str]) -> Input:
    parts = [scenario.initial, *(entry.given for entry in scenario.timeline)]
    first: dict[Key, Loaded] = {}
    for item in (item for part in parts for item in part.objects):
        first.setdefault(item.obj.key, item)
    ignored = tuple(item for part in parts for item in part.not_simulated)
    return Input(scenario, (), tuple(first.values()), ignored, manifests=tuple(manifests))


def _of_texts(present: Sequence[Text], texts: Sequence[Text], nodes: int | None) -> Input:
    cluster_names, names = tuple(text.name for text in present), tuple(text.name for text in texts)
    there, troubles = read_present(present) if present else (Initial(), [])
    new = _read_new(texts, there.epoch if present else EPOCH)
    if not present:
        everything = with_namespaces(together([*added_nodes(nodes), new]))
        if not everything.objects and not new.not_simulated:
            raise ManifestError(f"{', '.join(names)}: no object in it. Name files that hold Kubernetes manifests.")
        scenario = Scenario(name=_name(names), path="", spec=Spec(), initial=everything)
        return Input(scenario, (), new.objects, new.not_simulated, manifests=names)
    if not there.objects and not new.objects and not there.not_simulated:
        raise ManifestError(f"{', '.join((*cluster_names, *names))}: no object in it. Name files that hold objects.")
    there = with_what_is_left_out(together([*added_nodes(nodes), there]))
    there = _with_namespaces_of(there, new)
    entry = Entry(number=1, words="apply", at=0, when=(), given=new,
                  actions=tuple(Apply(item.obj, item.raw) for item in new.objects))
    initial = evolve(there, objects=lean(there.objects, new.objects))
    scenario = Scenario(name=_name(names or cluster_names), path="", spec=Spec(), initial=initial,
                        timeline=(entry,) if new.objects else ())
    return Input(scenario, there.objects, new.objects, new.not_simulated, tuple(troubles), cluster_names, names)


def _name(names: Sequence[str]) -> str:
    first = names[0] if names else "check"
    return "standard input" if first == "stdin" else first.rpartition("/")[2].rpartition(".")[0] or first


def _read_new(texts: Sequence[Text], epoch: str) -> Initial:
    """The manifests that are about to be applied.

    Raises
    ------
    ManifestError
        One line for each error, up to `MAX_ERRORS`.
    """
    loader = Loader(epoch)
    errors: list[str] = []
    taken: list[Loaded | NotSimulated] = []
    for document in (document for text in texts for document in text.documents):
        try:
            taken.append(loader.take(document))
        except ManifestError as error:
            errors.extend(str(error).split("\n"))
            if len(errors) > MAX_ERRORS:
                errors[MAX_ERRORS:] = ["There are more errors. Mend these first."]
                break
    initial = placed(
        Manifests(
            objects=tuple(item for item in taken if isinstance(item, Loaded)),
            not_simulated=tuple(item for item in taken if isinstance(item, NotSimulated)),
            without_effect=loader.without_effect,
            warnings=tuple(f"{text.name}: no object in it." for text in texts if not text.documents),
        ),
        "default", tuple(text.name for text in texts),
    )
    for other in initial.not_simulated:
        if other.api_version.startswith("bindsim/"):
            errors.append(f"{other.origin}: write apiVersion: bindsim/v1 and kind: Scenario, and give the file alone.")
    first: dict[Key, Loaded] = {}
    for item in initial.objects:
        known = first.setdefault(item.obj.key, item)
        if known is not item:
            errors.append(f"{item.origin}: {title(item.obj.KIND, item.obj.name)} is given twice; it stands at "
                          f"{known.origin} too. Remove one of them, or give it another name or namespace.")
    if errors:
        raise ManifestError("\n".join(errors))
    return initial


def _with_namespaces_of(there: Initial, new: Initial) -> Initial:
    """The present cluster with the namespaces that it must have.

    A dump without any namespace does not say which ones there are: those of new objects are taken to exist as well.
    """
    if any(isinstance(item.obj, Namespace) for item in there.objects):
        return with_namespaces(there)
    made = {item.obj.name for item in new.objects if isinstance(item.obj, Namespace)}
    borrowed = tuple(item for item in new.objects if item.obj.namespace and item.obj.namespace not in made)
    both = with_namespaces(evolve(there, objects=(*there.objects, *borrowed)))
    return evolve(both, objects=both.objects[:len(both.objects) - len(borrowed)])
