"""What a reader wants to know of a run, moment by moment: the telling changes of its log, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.api.storage import StorageClass
from simulator.binding.names import DEFAULT_CLASS, PROVISIONED_BY
from simulator.binding.reference import class_of
from simulator.eventlog import Log, LogEntry
from simulator.explanation.words import listing, place, short
from simulator.report.state import State, changes
from simulator.report.told import SCHEDULED, TELLERS, Luck, volume_place
from simulator.report.wording import GIVEN, first_sentence, kind_count, named, set_wants, size_text, target_text
from simulator.units import SECOND, Micros

CLIENT: Final = "kubectl"
ACTION: Final = "action"
NOT_SCHEDULED: Final = "not scheduled"
PASSING: Final[Micros] = SECOND
"""A failed scheduling attempt is not worth telling if the next one comes so soon: a claim was bound in between, say."""
NO_RETURN: Final = "no-return"
_POINTS: Final = frozenset({"volume", "node"})
"""Choices that decide where things go."""


class Happening(Struct, frozen=True):
    """One telling thing.

    Attributes
    ----------
    what : in a word or two, the same for all happenings of a sort: ``scheduled``, ``bound``.
    text : the whole sentence.
    """

    time: Micros
    subject: Key
    what: str
    text: str


def happenings(log: Log) -> list[Happening]:
    """The telling happenings of a run, in order."""
    teller = _Teller(log)
    told = [happening for entry, old, new in changes(log.entries, teller.state, _KINDS)
            for happening in teller.tell(entry, old, new)]
    told.extend(teller.rest())
    return list(_without_passing(sorted(told, key=lambda happening: (happening.time, happening.what != ACTION))))


def _without_passing(told: Sequence[Happening]) -> Iterator[Happening]:
    """All but failed attempts after which the pod's next attempt came soon."""
    next_attempt: dict[Key, Micros] = {}
    kept: list[Happening] = []
    for happening in reversed(told):
        if happening.what in (SCHEDULED, NOT_SCHEDULED):
            soon = next_attempt.get(happening.subject)
            next_attempt[happening.subject] = happening.time
            if happening.what == NOT_SCHEDULED and soon is not None and soon - happening.time < PASSING:
                continue
        kept.append(happening)
    return reversed(kept)


class _Teller:
    """Goes through a log and remembers what it needs to tell each thing once."""

    def __init__(self, log: Log) -> None:
        self.state = State(has_events=False)
        self._has_actions = any(entry.verb == "action" for entry in log.entries)
        self._given: dict[str, list[Object]] = {}
        self._claims: dict[Key, LogEntry] = {}
        self._claims_told: dict[Key, None] = {}
        self._chosen: Luck = {}
        self._said: dict[tuple[Any, ...], None] = {}
        self._actions: list[tuple[LogEntry, str]] = []
        self._fate = ""

    def tell(self, entry: LogEntry, old: Object | None, new: Object | None) -> Iterator[Happening]:
        """What is telling about an entry."""
        if entry.verb == "load":
            if new is not None:
                self._given.setdefault(entry.key.kind, []).append(new)
            elif entry.key.kind not in _KINDS:
                self._given.setdefault(entry.key.kind, [])
            return
        yield from self._finish_given()
        if old is not None or new is not None:
            yield from self._change(entry, old, new)
            return
        note = _NOTES.get(entry.verb)
        if entry.verb == "action":
            last = self._actions[-1][0].detail or {} if self._actions else {}
            if last.get("entry") != (entry.detail or {}).get("entry"):
                yield from self._finish_actions()
            self._actions.append((entry, self._target(entry)))
        elif entry.verb == "choose" and entry.detail and entry.detail["point"] in _POINTS:
            self._chosen[entry.key] = len(entry.detail["among"])
        elif entry.verb == "choose" and entry.detail and entry.detail["point"] == "fault":
            self._fate = "" if entry.detail["chosen"].endswith("none") else entry.detail["chosen"]
        elif note is not None:
            happening = note(self, entry, entry.detail or {})
            if happening is not None:
                yield from self._claim_created(entry.key)
                yield happening

    def rest(self) -> Iterator[Happening]:
        """What is left to tell at the end."""
        yield from self._finish_given()
        yield from self._finish_actions()
        for key in tuple(self._claims):
            yield from self._claim_created(key)

    def _claim_created(self, key: Key) -> Iterator[Happening]:
        """A claim for which nobody has made the pod yet."""
        entry = self._claims.pop(key, None)
        if entry is not None:
            self._claims_told[key] = None
            yield Happening(entry.time, key, "created", f"claim {short(key)} created")

    def _once(self, *what: Any) -> bool:
        """Whether this is the first time."""
        if what in self._said:
            return False
        self._said[what] = None
        return True

    # --- what was there, and what the user did ----------------------------------------------------------------------

    def _finish_given(self) -> Iterator[Happening]:
        if not self._given:
            return
        given, self._given = self._given, {}
        parts = [kind_count(kind, len(found)) for kind, found in given.items()
                 if kind in GIVEN and kind != "StatefulSet" and found]
        sets = [f"{named(obj)} {set_wants(obj)}" for obj in given.get("StatefulSet", ())
                if isinstance(obj, StatefulSet)]
        text = "; ".join(part for part in (", ".join(parts), listing(sets, 3)) if part)
        if text:
            yield Happening(0, Key("Run", "", ""), "given", f"given: {text}")

    def _finish_actions(self) -> Iterator[Happening]:
        """Actions of one entry of the scenario: the same one to several objects is told once."""
        actions, self._actions = self._actions, []
        alike: dict[str, list[tuple[LogEntry, str]]] = {}
        for entry, words in actions:
            detail = entry.detail or {}
            action = detail.get("action", "")
            if detail.get("refused") and action.partition(" ")[0] not in ("write", "read"):
                text = f"kubectl {action} {words} is refused: {detail['refused']}"
                yield Happening(entry.time, entry.key, "refused", text)
            elif action.partition(" ")[0] not in _TOLD_OTHERWISE:
                alike.setdefault(action, []).append((entry, words))
        for action, each in alike.items():
            first = each[0][0]
            yield Happening(first.time, first.key, ACTION, f"kubectl {action} {_targets(each)}")

    def _target(self, entry: LogEntry) -> str:
        """What an action is done to; a set that is applied, with what it wants."""
        words = target_text(entry.key)
        obj = self.state.find(entry.key) if (entry.detail or {}).get("action") in ("apply", "create") else None
        return f"{words} {set_wants(obj)}" if isinstance(obj, StatefulSet) else words

    # --- changes of objects -----------------------------------------------------------------------------------------

    def _change(self, entry: LogEntry, old: Object | None, new: Object | None) -> Iterator[Happening]:
        by_client = entry.actor == CLIENT and self._has_actions  # told as an action
        obj = new if new is not None else old
        assert obj is not None
        if old is None:
            if not by_client or isinstance(obj, Pod):
                yield from self._created(entry, obj)
            return
        if new is None:
            if not by_client or old.metadata.is_terminating:
                yield Happening(entry.time, entry.key, "gone", f"{named(obj)} gone")
            return
        if new.metadata.is_terminating and not old.metadata.is_terminating and not by_client:
            yield Happening(entry.time, entry.key, "being deleted", f"{named(obj)} is being deleted by {entry.actor}")
        tell = TELLERS.get(entry.key.kind)
        if tell is not None:
            for what, text in tell(self.state, self._chosen, old, new):
                yield Happening(entry.time, entry.key, what, text)

    def _created(self, entry: LogEntry, obj: Object) -> Iterator[Happening]:
        if isinstance(obj, PersistentVolumeClaim) and entry.actor != CLIENT:
            self._claims[obj.key] = entry
            return
        if isinstance(obj, Pod):
            yield Happening(entry.time, obj.key, "created", self._pod_created(obj))
        elif isinstance(obj, StatefulSet):
            yield Happening(entry.time, obj.key, "created", f"{named(obj)} {set_wants(obj)} created")
        elif isinstance(obj, PersistentVolume) and PROVISIONED_BY in obj.metadata.annotations:
            owner = obj.spec.claim_ref
            claim = f" for {place(owner.namespace, owner.name)}" if owner is not None else ""
            text = f"volume {obj.name} made{claim}{volume_place(obj)}"
            yield Happening(entry.time, obj.key, "made", text)
        elif isinstance(obj, (Node, Namespace, PersistentVolumeClaim, PersistentVolume)):
            yield Happening(entry.time, obj.key, "created", f"{named(obj)} created")

    def _pod_created(self, pod: Pod) -> str:
        """A pod with the claims that were made for it, and those that it finds again (WL-46)."""
        keys = [Key("PersistentVolumeClaim", pod.namespace, name) for name in pod.claim_names]
        new = [key.name for key in keys
               if self._claims.pop(key, None) is not None or self._claims_told.pop(key, 0) is None]
        found = [key.name for key in keys if key.name not in new and self.state.find(key) is not None]
        noun = "claim" if len(new or found) == 1 else "claims"
        if new:
            again = f"; {listing(found)} there already" if found else ""
            return f"{short(pod)} created, with its {noun} {listing(new)}{self._class_of(pod, new)}{again}"
        return f"{short(pod)} created" + (f", finds its {noun} {listing(found)}" if found else "")

    # --- notes and events -------------------------------------------------------------------------------------------

    def _failed_attempt(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        message = first_sentence(detail.get("message", ""))
        pod = self.state.find(entry.key)
        if not self._once("attempt", entry.key, pod.metadata.uid if pod is not None else "", message):
            return None
        return Happening(entry.time, entry.key, NOT_SCHEDULED, f"{short(entry.key)} is not scheduled: {message}")

    def _class_of(self, pod: Pod, claims: Sequence[str]) -> str:
        """The class of new claims, if they share one and it exists, and whether it is the default."""
        found = [self.state.get(PersistentVolumeClaim, name, pod.namespace) for name in claims]
        classes = dict.fromkeys(class_of(claim) for claim in found if claim is not None)
        known = self.state.get(StorageClass, next(iter(classes), ""))
        if len(classes) != 1 or known is None:
            return ""
        is_default = any(known.metadata.annotations.get(name) == "true" for name in DEFAULT_CLASS)
        return f" (default class {known.name})" if is_default else f" (class {known.name})"

    def _event(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        reason = detail["reason"]
        if reason in _SAID_BY_OBJECTS or (detail["type"] != "Warning" and reason not in _TELLING):
            return None
        if not self._once("event", entry.key, reason, detail["message"]):
            return None
        text = f"{short(entry.key)}: {reason}: {detail['message']}"
        if reason == "ExternalProvisioning":
            text = f"{short(entry.key)} waits for the provisioner {_quoted(detail['message'])}"
        return Happening(entry.time, entry.key, reason, text)

    def _refused(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        """A call that the chooser let fail, or whose answer it let get lost."""
        fate, self._fate = self._fate, ""
        if detail.get("reason") != "Fault" or not fate or entry.actor == CLIENT:
            return None
        obj = self.state.find(entry.key)
        call = f"{entry.actor}'s call to {_CALLS.get(detail['verb'], detail['verb'])} " \
            f"{named(obj) if obj is not None else short(entry.key)}"
        text = f"{call} is carried out, but the answer is lost" if fate.endswith("lost") else f"{call} fails"
        return Happening(entry.time, entry.key, "call failed", text)

    def _no_return(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        """What was chosen is told by itself, unless nothing came of it yet."""
        about = self.state.find(Key(*detail["about"])) if detail.get("about") else None
        is_told = (isinstance(about, Pod) and about.spec.node_name) or (
            isinstance(about, PersistentVolumeClaim) and about.status.phase == "Bound")
        step = "" if is_told else f"{detail['step']}; "
        text = f"point of no return: {step}from here on every run gets stuck"
        return Happening(entry.time, entry.key, NO_RETURN, text)

    def _kubelet(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        name = entry.key.name
        if entry.verb == "node-started":
            return Happening(entry.time, entry.key, "back", f"node {name} comes back")
        return Happening(entry.time, entry.key, "down", f"node {name} goes down" if detail.get("machine") else
                         f"the kubelet of node {name} stops")

    def _data(self, entry: LogEntry, detail: Mapping[str, Any]) -> Happening | None:
        outcome = detail.get("outcome", "")
        if entry.verb == "write":
            value = f"{detail.get('name')}={detail['value']}" if detail.get("value") else \
                f"{detail.get('name')} ({size_text(detail.get('size', 0))})"
            text = f"{short(entry.key)} writes {value} to {detail.get('volume')}"
            return Happening(entry.time, entry.key, "write", text + (f": {outcome}" if outcome else ""))
        read = detail.get("value")
        found = outcome or ("nothing there" if read is None else read or "it is there")
        return Happening(entry.time, entry.key, "read", f"{short(entry.key)} reads {detail.get('name')} from "
                         f"{detail.get('volume')}: {found}")


def _quoted(message: str) -> str:
    """What stands in single quotes in a message; the message itself if nothing does."""
    _, opened, rest = message.partition("'")
    inner, closed, _ = rest.partition("'")
    return inner if opened and closed else message


def _targets(actions: Sequence[tuple[LogEntry, str]]) -> str:
    """What one action is done to: an object of a kind by name, several by number."""
    kinds: dict[str, list[str]] = {}
    for entry, words in actions:
        kinds.setdefault(entry.key.kind, []).append(words)
    return listing(words[0] if len(words) == 1 else kind_count(kind, len(words)) for kind, words in kinds.items())


_KINDS: Final = frozenset(GIVEN) | {"Namespace"}
_TELLING: Final = frozenset(
    {"FailedBinding", "ExternalProvisioning", "Preempted", "VolumeDelete"}
)
"""Events of type Normal that are worth telling."""
_SAID_BY_OBJECTS: Final = frozenset({"FailedScheduling", "VolumeFailedDelete", "NodeNotReady"})
"""Warnings that repeat what a change of the object, or the attempt itself, has told already."""
_CALLS: Final = {"update-status": "update the status of"}
"""Verbs of calls that are not words."""
_TOLD_OTHERWISE: Final = frozenset({"sleep", "write", "read", "fail", "recover", "restart"})
"""Actions of a scenario that show in the log by what they do."""


_NOTES: Final[dict[str, Callable[[_Teller, LogEntry, Mapping[str, Any]], Happening | None]]] = {
    "schedule-failed": _Teller._failed_attempt, "event": _Teller._event, "node-stopped": _Teller._kubelet,
    "node-started": _Teller._kubelet, "write": _Teller._data, "read": _Teller._data, "refused": _Teller._refused,
    NO_RETURN: _Teller._no_return,
}
