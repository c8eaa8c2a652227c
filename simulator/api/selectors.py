"""Label and node selectors: their structs, and the pure predicates over them."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.api.meta import ApiStruct, Labels


class LabelSelectorRequirement(ApiStruct, frozen=True):
    """One expression of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(ApiStruct, frozen=True):
    """A conjunction of labels and expressions; an empty one selects everything, an absent one nothing."""

    match_labels: Labels = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy every part of the selector."""
        for key, value in self.match_labels.items():
            if labels.get(key) != value:
                return False
        if not self.match_expressions:
            return True
        return all(_matches(labels, term.key, term.operator, term.values) for term in self.match_expressions)

    @property
    def is_empty(self) -> bool:
        """Whether the selector has no part at all."""
        return not self.match_labels and not self.match_expressions


class NodeSelectorRequirement(ApiStruct, frozen=True):
    """One expression of a node selector: In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(ApiStruct, frozen=True):
    """A conjunction; a term without any expression or field matches nothing (VB-40, SC-56)."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(ApiStruct, frozen=True):
    """A disjunction of terms."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


_OPERATORS = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"}


def is_valid_requirement(term: LabelSelectorRequirement | NodeSelectorRequirement) -> bool:
    """Whether the expression can be parsed; one that cannot matches nothing (VB-42, SC-56)."""
    if term.operator in ("In", "NotIn"):
        return bool(term.values)
    if term.operator in ("Exists", "DoesNotExist"):
        return not term.values
    if term.operator in ("Gt", "Lt"):
        return len(term.values) == 1 and _integer(term.values[0]) is not None
    return False


def _matches(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    present = labels.get(key)
    if operator == "In":
        return present is not None and present in values
    if operator == "NotIn":
        return present is None or present not in values
    if operator == "Exists":
        return present is not None
    if operator == "DoesNotExist":
        return present is None
    number, bound = _integer(present), _integer(values[0]) if values else None
    if number is None or bound is None:
        return False
    return number > bound if operator == "Gt" else number < bound


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def term_matches(term: NodeSelectorTerm, labels: Mapping[str, str], name: str | None) -> bool:
    """Whether a node satisfies one term (SC-56).

    Parameters
    ----------
    labels : the node's labels.
    name : the node's name, for ``matchFields``; None leaves fields out of it, as volumes do (VB-41).
    """
    if not term.match_expressions and not term.match_fields:
        return False
    for expression in term.match_expressions:
        if not is_valid_requirement(expression) or not _matches(
            labels, expression.key, expression.operator, expression.values
        ):
            return False
    if name is not None:
        for field in term.match_fields:
            if field.key != "metadata.name" or field.operator not in ("In", "NotIn") or len(field.values) != 1:
                return False
            if not _matches({"metadata.name": name}, field.key, field.operator, field.values):
                return False
    return True


def node_selector_matches(selector: NodeSelector, labels: Mapping[str, str], name: str | None) -> bool:
    """Whether a node satisfies any term of the selector; see `term_matches` for the parameters."""
    return any(term_matches(term, labels, name) for term in selector.node_selector_terms)
