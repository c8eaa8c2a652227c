"""The scheduling queue: which pods wait, where, and for what (SC-2 to SC-24).

    add ──▶ active ──pop──▶ in flight ──done──▶ (binding)
              ▲  ▲              │ fail
       back-off  │ event        ▼
              └──┴────── unschedulable

A plain data structure: the time is handed in, nothing is drawn, and `copy` shares everything frozen. Expired back-offs
are sorted into the active queue when it is next looked at; nobody could tell that from a tick every second (SC-9).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Pod
from simulator.api.meta import Key
from simulator.scheduler.events import LEFTOVER, ClusterEvent, force_activate, pod_updates
from simulator.scheduler.hints import Strategy, gate_opens, is_of_interest, worth
from simulator.scheduler.nominator import Nominator
from simulator.scheduler.records import DEFAULT_BACKOFF, QueueConfig, QueuedPod, RecordHeap
from simulator.units import MINUTE, SECOND, Micros

LEFTOVER_AGE: Final[Micros] = 5 * MINUTE


class _Flight(Struct, frozen=True):
    """A popped pod: its record, and how many events had been seen before it was popped (SC-15)."""

    record: QueuedPod
    position: int


class SchedulingQueue:
    """Every pending pod, in exactly one place (SC-2).

    Attributes
    ----------
    active, backoff, error_backoff : heaps of records.
    unschedulable : records that wait for an event, gated ones included.
    in_flight : by uid, pods between their pop and the end of their attempt.
    events : what has happened since the oldest pod in flight was popped; `forgotten` counts those before it.
    preempting : uids of pods whose victims are being evicted (SC-112), with the last victim once it is its turn.
    nominator : nominated pods by node.
    """

    __slots__ = ("_orders", "active", "backoff", "config", "error_backoff", "events", "forgotten", "in_flight",
                 "nominator", "preempting", "unschedulable")

    def __init__(self, config: QueueConfig = DEFAULT_BACKOFF) -> None:
        self.config = config
        self.active = RecordHeap()
        self.backoff = RecordHeap()
        self.error_backoff = RecordHeap()
        self.unschedulable: dict[Key, QueuedPod] = {}
        self.in_flight: dict[str, _Flight] = {}
        self.events: list[ClusterEvent] = []
        self.forgotten = 0
        self.preempting: dict[str, Key | None] = {}
        self.nominator = Nominator()
        self._orders = 0

    def copy(self) -> SchedulingQueue:
        """The same queue, free to go its own way."""
        twin = SchedulingQueue(self.config)
        twin.active = self.active.copy()
        twin.backoff = self.backoff.copy()
        twin.error_backoff = self.error_backoff.copy()
        twin.unschedulable = dict(self.unschedulable)
        twin.in_flight = dict(self.in_flight)
        twin.events = list(self.events)
        twin.forgotten = self.forgotten
        twin.preempting = dict(self.preempting)
        twin.nominator = self.nominator.copy()
        twin._orders = self._orders
        return twin

    # --- back-off ---------------------------------------------------------------------------------------------------

    def backoff_until(self, record: QueuedPod) -> Micros:
        """The whole second through which a pod backs off (SC-7, SC-8); its timestamp if there is no back-off."""
        initial, most = self.config.initial_backoff, self.config.max_backoff
        count = record.errors or record.unschedulable
        if count == 0 or most == 0:
            return record.timestamp
        nanoseconds = most * 1000 >> (count - 1)
        length = most if initial * 1000 > nanoseconds else initial << (count - 1)
        return (record.timestamp + length) // SECOND * SECOND

    def is_backing_off(self, record: QueuedPod, now: Micros) -> bool:
        """Whether a pod's back-off has not run out (SC-8)."""
        if self.config.max_backoff == 0 or not (record.errors or record.unschedulable):
            return False
        return self.backoff_until(record) >= now // SECOND * SECOND

    def next_release(self) -> Micros | None:
        """When the first pod that failed with an error may be tried again; None if there is none.

        Refused pods in back-off need no timer: an idle scheduler takes them at once (SC-6).
        """
        first = self.error_backoff.peek()
        return self.backoff_until(first) + SECOND if first is not None else None

    def _flush_backoff(self, now: Micros) -> None:
        for heap in (self.error_backoff, self.backoff):
            while (first := heap.peek()) is not None and not self.is_backing_off(first, now):
                heap.remove(first.key)
                self.active.add(first, first.rank)  # SC-9: gates were asked on entry

    # --- taking pods ------------------------------------------------------------------------------------------------

    def head(self, now: Micros) -> QueuedPod | None:
        """The pod that `pop` would take (SC-6); changes nothing."""
        best = self._first(self.active)
        for heap in (self.error_backoff, self.backoff):
            first = heap.peek()
            if first is None or self.is_backing_off(first, now):
                continue
            for record in heap.records.values():
                if record.uid in self.in_flight or self.is_backing_off(record, now):
                    continue
                if best is None or record.rank < best.rank:
                    best = record
        return best if best is not None else self._first(self.backoff)

    def _first(self, heap: RecordHeap) -> QueuedPod | None:
        first = heap.peek()
        if first is None or first.uid not in self.in_flight:
            return first
        return next((record for record in heap.sorted() if record.uid not in self.in_flight), None)

    def peers(self, now: Micros) -> list[Key]:
        """The pods that `pop` might take just as well as the one it does: as important, and there as long (SC/ND-7)."""
        first = self.head(now)
        if first is None:
            return []
        heap = self.active if first.key in self.active else self.backoff if first.key in self.backoff else None
        records = heap.sorted() if heap is not None else [first]
        return [record.key for record in records
                if record.rank[:2] == first.rank[:2] and record.uid not in self.in_flight]

    def prefer(self, key: Key) -> None:
        """Put a pod before its peers."""
        for heap in (self.active, self.backoff):
            if (record := heap.remove(key)) is not None:
                first = min((other.order for other in heap.records.values()), default=record.order)
                record = replace(record, order=min(record.order, first - 1))
                heap.add(record, record.rank if heap is self.active else (self.backoff_until(record), *record.rank))

    def pop(self, now: Micros) -> QueuedPod | None:
        """Take the first pod: of the active queue, else of the back-off queue before its time (SC-6).

        Returns
        -------
        Its record as it goes into the attempt, without the rejectors of the last one; None if there is no pod to try.
        """
        self._flush_backoff(now)
        while (first := self.active.peek()) is not None or (first := self.backoff.peek()) is not None:
            self.active.remove(first.key)
            self.backoff.remove(first.key)
            if first.uid in self.in_flight:
                continue
            record = replace(first, attempts=first.attempts + 1, rejectors=frozenset(), pending=frozenset(), gate="")
            self.in_flight[record.uid] = _Flight(record, self.forgotten + len(self.events))
            return record
        return None

    def done(self, uid: str) -> None:
        """A pod is not in flight any more; events that only it had to see are forgotten (SC-15)."""
        if self.in_flight.pop(uid, None) is None:
            return
        oldest = min((flight.position for flight in self.in_flight.values()), default=None)
        drop = len(self.events) if oldest is None else oldest - self.forgotten
        if drop:
            del self.events[:drop]
            self.forgotten += drop

    # --- pods come, change and go -----------------------------------------------------------------------------------

    def add(self, pod: Pod, now: Micros) -> None:
        """A new pod (SC-20)."""
        record = QueuedPod(pod, now, self._stamp())
        if self._to_active(record):
            self.nominator.add(pod)

    def update(self, old: Pod, new: Pod, now: Micros) -> None:
        """A pending pod has changed (SC-18)."""
        key, uid = new.key, new.metadata.uid
        if old.metadata.resource_version == new.metadata.resource_version:
            return
        events = pod_updates(old, new)
        if uid in self.in_flight:
            self.events.extend(events)
            return
        for heap in (self.active, self.backoff, self.error_backoff):
            if key in heap:
                heap.swap(replace(heap.records[key], pod=new))
                self.nominator.update(old, new)
                return
        record = self.unschedulable.get(key)
        if record is None:
            self.add(new, now)
            return
        record = self.unschedulable[key] = replace(record, pod=new)
        self.nominator.update(old, new)
        for event in events:
            strategy = worth(record.pod, record.rejectors, record.pending, event)
            if strategy is not Strategy.SKIP:
                del self.unschedulable[key]
                if self._requeue(record, strategy, now):
                    return
                record = self.unschedulable[key]

    def delete(self, pod: Pod) -> None:
        """A pending pod is gone, or bound (SC-23)."""
        key = pod.key
        self.nominator.remove(pod)
        for heap in (self.active, self.backoff, self.error_backoff):
            if heap.remove(key) is not None:
                return
        self.unschedulable.pop(key, None)

    # --- pods come back ---------------------------------------------------------------------------------------------

    def fail(self, uid: str, pod: Pod, rejectors: Iterable[str], now: Micros, record: QueuedPod | None = None) -> None:
        """An attempt has failed (SC-12); events that came during it count now (VB-158).

        Parameters
        ----------
        uid : of the pod that was tried.
        pod : the newest version that the watch has shown.
        rejectors : plug-ins that refused it; none if the attempt ended with an error.
        now : the time.
        record : of a pod that is not in flight any more.
        """
        flight = self.in_flight.get(uid)
        record = flight.record if flight is not None else record
        if record is None or self.find(pod.key) is not None:
            self.done(uid)
            return
        refused = frozenset(rejectors)
        record = replace(
            record, pod=pod, rejectors=refused, gate="", timestamp=now, order=self._stamp(),
            errors=0 if refused else record.errors + 1,
            unschedulable=record.unschedulable + 1 if refused else record.unschedulable,
        )
        strategy = Strategy.AFTER_BACKOFF
        if refused and flight is not None:
            seen = self.events[flight.position - self.forgotten:]
            strategy = max((worth(pod, refused, record.pending, event) for event in seen), default=Strategy.SKIP)
        self._requeue(record, strategy, now)
        self.done(uid)

    def activate(self, pod: Pod) -> None:
        """A pod is to be tried without back-off (SC-19); one in flight comes back after its back-off."""
        key = pod.key
        record = self.unschedulable.get(key)
        if record is not None:
            del self.unschedulable[key]
            self._to_active(record)
            return
        for heap in (self.backoff, self.error_backoff):
            if (record := heap.remove(key)) is not None:
                self.active.add(record, record.rank)
                return
        if pod.metadata.uid in self.in_flight:
            self.events.append(force_activate(pod))

    def move(self, event: ClusterEvent, now: Micros) -> None:
        """Something has happened: try again the pods that it may help (SC-14)."""
        if not is_of_interest(event):
            return
        self._move(list(self.unschedulable.values()), event, now)

    def _move(self, records: list[QueuedPod], event: ClusterEvent, now: Micros) -> None:
        most = event.priority_at_most
        for record in records:
            if most is not None and (record.pod.spec.priority or 0) > most:
                continue
            if record.gate and not gate_opens(record.gate, event):
                continue
            strategy = worth(record.pod, record.rejectors, record.pending, event)
            if strategy is not Strategy.SKIP:
                del self.unschedulable[record.key]
                self._requeue(record, strategy, now)
        if self.in_flight:
            self.events.append(event)

    def leftovers(self, now: Micros) -> list[QueuedPod]:
        """Unschedulable pods that have waited for more than five minutes (SC-13)."""
        return [record for record in self.unschedulable.values()
                if not record.gate and now - record.timestamp > LEFTOVER_AGE]

    def flush_leftovers(self, now: Micros) -> None:
        """Try again the pods that no event has helped for five minutes (SC-13)."""
        if (old := self.leftovers(now)):
            self._move(old, LEFTOVER, now)

    # --- where a record goes ----------------------------------------------------------------------------------------

    def find(self, key: Key) -> QueuedPod | None:
        """The record of a waiting pod; None for one in flight or unknown."""
        for heap in (self.active, self.backoff, self.error_backoff):
            if (found := heap.records.get(key)) is not None:
                return found
        return self.unschedulable.get(key)

    def _requeue(self, record: QueuedPod, strategy: Strategy, now: Micros) -> bool:
        """Put a record where `strategy` says (SC-12); whether the pod can be popped, now or after its back-off."""
        if strategy is Strategy.SKIP:
            self.unschedulable[record.key] = record
            return False
        if strategy is Strategy.AFTER_BACKOFF and self.is_backing_off(record, now):
            return self._to_backoff(record)
        return self._to_active(record)

    def _to_active(self, record: QueuedPod) -> bool:
        record = self._ask_gates(record)
        if record.gate:
            self.unschedulable[record.key] = record
            return False
        self.active.add(record, record.rank)
        return True

    def _to_backoff(self, record: QueuedPod) -> bool:
        record = self._ask_gates(record)
        if record.gate:
            self.unschedulable[record.key] = record
            return False
        until = self.backoff_until(record)
        if record.rejectors or record.pending:
            self.backoff.add(record, (until, *record.rank))  # SC-10, SC-11
        else:
            self.error_backoff.add(record, (until,))
        return True

    def _ask_gates(self, record: QueuedPod) -> QueuedPod:
        """Run the PreEnqueue plug-ins: the one that refused before goes first (SC-21, SC/ND-8)."""
        closed = []
        if record.pod.spec.scheduling_gates:
            closed.append("SchedulingGates")
        if record.uid in self.preempting:
            closed.append("DefaultPreemption")
        if not closed:
            return replace(record, gate="") if record.gate else record
        gate = record.gate if record.gate in closed else closed[0]
        return replace(record, gate=gate, rejectors=record.rejectors | {gate})

    def _stamp(self) -> int:
        self._orders += 1
        return self._orders
