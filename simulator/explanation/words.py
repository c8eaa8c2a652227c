"""How explanations name things: objects, lists, selectors, and the nodes a volume can be reached from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.api.core import PersistentVolume, Taint
from simulator.api.meta import Key, Object
from simulator.api.nodes import HOSTNAME
from simulator.api.selectors import LabelSelector, NodeSelectorRequirement
from simulator.scheduler.plugins.free_volumes import Reach

MANY = 4
"""More names than this are not spelled out."""


def short(named: Key | Object) -> str:
    """The name, with the namespace where it is not the default one."""
    key = named.key if isinstance(named, Object) else named
    return key.name if key.namespace in ("", "default") else f"{key.namespace}/{key.name}"


def place(namespace: str, name: str) -> str:
    """A namespaced name, as `short` has it."""
    return name if namespace == "default" else f"{namespace}/{name}"


def listing(names: Iterable[str], most: int = MANY) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> listing(["a"]), listing(["a", "b", "c"]), listing(map(str, range(9)), 2)
    ('a', 'a, b and c', '0, 1 and 7 more')
    """
    all_names = list(names)
    if len(all_names) > most + 1:
        return f"{', '.join(all_names[:most])} and {len(all_names) - most} more"
    if len(all_names) < 2:
        return "".join(all_names)
    return f"{', '.join(all_names[:-1])} and {all_names[-1]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 pod``, ``3 pods``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def domain(topology_key: str) -> str:
    """A topology key as a place: ``node``, ``zone``, or the label itself."""
    if topology_key == HOSTNAME:
        return "node"
    return topology_key.rpartition("/")[2] if topology_key.startswith("topology.kubernetes.io/") else topology_key


def selector_text(selector: LabelSelector | None) -> str:
    """A label selector as people write it: ``app=web, tier in (a, b)``."""
    if selector is None:
        return "nothing"
    parts = [f"{key}={value}" for key, value in selector.match_labels.items()]
    parts.extend(_expression(term.key, term.operator, term.values) for term in selector.match_expressions)
    return ", ".join(parts) or "any label"


def node_terms_text(terms: Sequence[Sequence[NodeSelectorRequirement]]) -> str:
    """A node selector's terms; any of them will do."""
    return " or ".join(", ".join(_expression(one.key, one.operator, one.values) for one in term) for term in terms)


def _expression(key: str, operator: str, values: Sequence[str]) -> str:
    if operator == "In" and len(values) == 1:
        return f"{key}={values[0]}"
    if operator in ("Exists", "DoesNotExist"):
        return key if operator == "Exists" else f"no {key}"
    if operator in ("Gt", "Lt"):
        return f"{key}{'>' if operator == 'Gt' else '<'}{''.join(values)}"
    return f"{key} {'in' if operator == 'In' else 'not in'} ({', '.join(values)})"


def taint_text(taint: Taint) -> str:
    """A taint as ``kubectl taint`` writes it."""
    return taint.key + (f"={taint.value}" if taint.value else "") + f":{taint.effect}"


def is_everywhere(volume: PersistentVolume) -> bool:
    """Whether a volume can be reached from every node that may ever be."""
    affinity = volume.spec.node_affinity
    return affinity is None or affinity.required is None


def reach_text(volume: PersistentVolume, reach: Sequence[str]) -> str:
    """Where a volume is: ``exists only on node2``; the verb is the volume's.

    Parameters
    ----------
    volume : the volume.
    reach : the nodes of the cluster from which it can be reached.
    """
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return "can be reached from every node"
    verb = "exists only on" if volume.spec.local is not None else "can be reached only from"
    if reach:
        return f"{verb} {listing(reach)}"
    hostnames, terms = Reach.of(volume), affinity.required.node_selector_terms
    if hostnames.label == HOSTNAME:
        return f"{verb} {listing(hostnames.values)}, which the cluster does not have"
    return f"{verb} nodes with {node_terms_text([term.match_expressions for term in terms])}, and there is none"
