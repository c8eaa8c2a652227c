"""What is equal from the start: volumes of one node, nodes with equal volumes, pods of a set that starts all at once.

Exchanging equal things turns a state into one from which just as much can come, with the exchanged names. So of all
the states that differ by such an exchange one is explored, and of the options of a tie one for each sort.

Two volumes are equal if nothing but name, uid and path tells them apart, and they can be reached from the same node;
two nodes, if nothing but their names and those of their volumes does, and their volumes are pairwise equal. Whatever
another object or the timeline calls by name is unlike all others. Nothing is assumed beyond that: the relabelling is
carried out on whole states, and where it misses that two of them are equal, one more is explored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume
from simulator.api.meta import Key, Object, encode_json
from simulator.api.nodes import HOSTNAME
from simulator.cluster.store import Shelf
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import Entry

_UNTOLD: Final = re.compile(
    r'"(?:resourceVersion|creationTimestamp|lastTransitionTime|lastPhaseTransitionTime|uid|path)":(?:"[^"]*"|-?\d+|null),?'
)
_WORD: Final = re.compile(r"[\w][\w.-]*")


class Place(Struct, frozen=True):
    """A thing that has equals.

    Attributes
    ----------
    sort : equal ones have the same.
    node : of a volume, the node that it is on, if that has equals too or not; "" if it is on none.
    """

    sort: str
    node: str = ""


class Symmetry(Struct):
    """Which names stand for things that have equals.

    Attributes
    ----------
    volumes, nodes : by name.
    members : name of a pod or claim of a set whose pods are all alike → the set and the ordinal.
    """

    volumes: dict[str, Place] = {}
    nodes: dict[str, Place] = {}
    members: dict[str, tuple[str, int]] = {}

    def is_name(self, text: str) -> bool:
        """Whether a text is the name of something that has equals."""
        return text in self.volumes or text in self.nodes or text in self.members

    def sort_of(self, option: Key, touched: frozenset[str]) -> str:
        """What an option of a tie is equal to: two of the same sort lead to the same, but for names.

        Parameters
        ----------
        touched : names of which a state knows more than at the start; they are unlike all others.
        """
        name = option.name
        if option.kind == "PersistentVolume" and (volume := self.volumes.get(name)) is not None:
            if name in touched:
                return name
            node = self.nodes.get(volume.node)
            if node is None or volume.node in touched:
                return f"{volume.sort} on {volume.node}"
            return f"{volume.sort} on any {node.sort}"
        if name in self.members and name not in touched:
            return f"any {option.kind} {name.rpartition('-')[0]}"
        if option.kind == "Node" and (place := self.nodes.get(name)) is not None and name not in touched:
            return f"any {place.sort}"
        return name


NONE: Final = Symmetry()


def find_symmetry(scenario: Scenario, shelves: Mapping[str, Shelf], is_everything_equal: bool) -> Symmetry:
    """What has equals in a cluster as it is at the start.

    Parameters
    ----------
    is_everything_equal : whether the order in which volumes came does not matter.
    """
    if not is_everything_equal:
        return NONE
    nodes = {obj.name: obj for obj in _objects(shelves, "Node") if isinstance(obj, Node)}
    volumes = {obj.name: obj for obj in _objects(shelves, "PersistentVolume") if isinstance(obj, PersistentVolume)}
    named = _named_elsewhere(scenario, shelves)
    hosts = Counter(node.metadata.labels.get(HOSTNAME, "") for node in nodes.values())
    by_host = {
        host: node.name for node in nodes.values() if hosts[host := node.metadata.labels.get(HOSTNAME, "")] == 1
    }
    where = {name: by_host.get(_host_of(volume), "") for name, volume in volumes.items()}
    paths = Counter((where[name], _path(volume)) for name, volume in volumes.items())
    looks = {
        name: _look(volume, name, _host_of(volume)) for name, volume in volumes.items()
        if name not in named and (not _path(volume) or paths[where[name], _path(volume)] == 1)
    }
    own: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node_name in where.items():
        if node_name:
            own[node_name].append(looks.get(name, f"the volume {name}"))
    sorts = {
        name: "\n".join((_look(node, name, node.metadata.labels.get(HOSTNAME, "")), *sorted(own[name])))
        for name, node in nodes.items()
        if name not in named and node.metadata.labels.get(HOSTNAME, name) == name
    }
    return Symmetry(
        {name: Place(look, where[name]) for name, look in _shared(looks).items()},
        {name: Place(sort) for name, sort in _shared(sorts).items()},
        _members(scenario, shelves),
    )


def _shared(looks: Mapping[str, str]) -> dict[str, str]:
    """Short names for what several things look like; what looks like nothing else is left out."""
    count = Counter(looks.values())
    short = {look: str(number) for number, look in enumerate(dict.fromkeys(looks.values()))}
    return {name: short[look] for name, look in looks.items() if count[look] > 1}


def _objects(shelves: Mapping[str, Shelf], kind: str) -> Iterable[Object]:
    return shelves[kind].objects.values() if kind in shelves else ()


def _look(obj: Object, *names: str) -> str:
    """Everything about an object but its names."""
    text = _UNTOLD.sub("", encode_json(obj).decode())
    for name in names:
        if name:
            text = text.replace(f'"{name}"', '"*"')
    return text


def _host_of(volume: PersistentVolume) -> str:
    """The one hostname that a volume is tied to, and nothing else; "" if there is none."""
    affinity = volume.spec.node_affinity
    required = affinity.required if affinity is not None else None
    terms = required.node_selector_terms if required is not None else ()
    if len(terms) != 1 or terms[0].match_fields or len(terms[0].match_expressions) != 1:
        return ""
    only = terms[0].match_expressions[0]
    return only.values[0] if only.key == HOSTNAME and only.operator == "In" and len(only.values) == 1 else ""


def _path(volume: PersistentVolume) -> str:
    source = volume.spec.local if volume.spec.local is not None else volume.spec.host_path
    return getattr(source, "path", "") or ""


def _named_elsewhere(scenario: Scenario, shelves: Mapping[str, Shelf]) -> frozenset[str]:
    """Every word of the timeline, and of the objects that are neither nodes nor volumes."""
    found: set[str] = set()
    for kind, shelf in shelves.items():
        if kind in ("Node", "PersistentVolume", "Namespace"):
            continue
        for obj in shelf.objects.values():
            if not (kind == "Lease" and not getattr(obj.spec, "renew_time", None)):  # type: ignore[attr-defined]
                found.update(_WORD.findall(encode_json(obj).decode()))
    for entry in scenario.timeline:
        found.update(_words(entry))
    found.update(_WORD.findall(repr((scenario.spec.provisioners, scenario.spec.local_provisioner))))
    for obj in _objects(shelves, "PersistentVolume"):
        assert isinstance(obj, PersistentVolume)
        if obj.spec.claim_ref is not None:
            found.add(obj.name)
    return frozenset(found)


def _words(entry: Entry) -> Iterator[str]:
    yield from _WORD.findall(repr((entry.actions, entry.faults, entry.when)))
    for item in entry.given.objects:
        yield from _WORD.findall(encode_json(item.obj).decode())


def _members(scenario: Scenario, shelves: Mapping[str, Shelf]) -> dict[str, tuple[str, int]]:
    """Pods and claims of sets that start all their pods at once, and to which nothing is done afterwards."""
    given = [item.obj for entry in scenario.timeline for item in entry.given.objects]
    if any(entry.faults or entry.when for entry in scenario.timeline) or any(
        len(entry.actions) != len(entry.given.objects) for entry in scenario.timeline
    ):
        return {}
    sets = [obj for obj in (*_objects(shelves, "StatefulSet"), *given) if isinstance(obj, StatefulSet)]
    found: dict[str, tuple[str, int]] = {}
    for sts in sets:
        if sts.spec.pod_management_policy != "Parallel" or len(sets) != len({one.key for one in sets}):
            continue
        names = {
            name: ordinal
            for ordinal in range(sts.replicas)
            for name in (f"{sts.name}-{ordinal}", *(
                f"{template.metadata.name}-{sts.name}-{ordinal}" for template in sts.spec.volume_claim_templates
            ))
        }
        taken = {obj.name for kind in ("Pod", "PersistentVolumeClaim") for obj in _objects(shelves, kind)}
        if not taken & names.keys() and not sts.spec.template.spec.node_name:
            found.update({name: (sts.name, ordinal) for name, ordinal in names.items()})
    return found


# --- canonical names ------------------------------------------------------------------------------------------------

Fact = tuple[object, ...]


class Labels:
    """Canonical names, given out to things that have equals in the order in which they turn up.

    Parameters
    ----------
    names : those that are given already; new ones are added.
    """

    def __init__(self, symmetry: Symmetry, names: dict[str, str]) -> None:
        self._symmetry = symmetry
        self._counts: Counter[str] = Counter(
            label.rpartition(" #")[0] for name, label in names.items()
            if name in symmetry.volumes or name in symmetry.nodes
        )
        self.names = names

    def give(self, facts: Iterable[Fact]) -> None:
        """Name everything in these facts, in their order."""
        symmetry, names = self._symmetry, self.names
        for fact in facts:
            for token in fact:
                if isinstance(token, str) and token not in names:
                    if (volume := symmetry.volumes.get(token)) is not None:
                        self._volume(token, volume)
                    elif (node := symmetry.nodes.get(token)) is not None:
                        self._node(token, node)

    def _node(self, name: str, node: Place) -> str:
        label = self.names.get(name)
        if label is None:
            label = self.names[name] = self._next(f"node {node.sort}")
        return label

    def _volume(self, name: str, volume: Place) -> None:
        node = self._symmetry.nodes.get(volume.node)
        where = self._node(volume.node, node) if node is not None else volume.node
        self.names[name] = self._next(f"volume {volume.sort} on {where}")

    def _next(self, sort: str) -> str:
        self._counts[sort] += 1
        return f"{sort} #{self._counts[sort]}"


def in_order(
    facts: Sequence[Fact], symmetry: Symmetry, names: Mapping[str, str], is_uid: Callable[[str], bool]
) -> list[Fact]:
    """The facts that name things that have equals, in an order that does not depend on their names."""

    def blank(fact: Fact) -> tuple[str, ...]:
        return tuple(
            names.get(token, "" if symmetry.is_name(token) or is_uid(token) else token)
            if isinstance(token, str) else str(token) if isinstance(token, int) else ""
            for token in fact
        )

    concerned = [fact for fact in facts if any(isinstance(token, str) and symmetry.is_name(token) for token in fact)]
    return sorted(concerned, key=blank)

