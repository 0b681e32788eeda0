"""Who is registered: taken in, told, heard, and let go when the process ends or falls silent."""

import contextlib
import json
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from resourced.actions.handles import ProcessHandle
from resourced.clock import Clock, SystemClock
from resourced.collectors.base import Roots
from resourced.decision import Request
from resourced.errors import ActionFailed, ActionRefused, NotYours, TargetGone, TooMany
from resourced.workloads.fifo import Fifos, write_line
from resourced.workloads.held import Held, about, as_policy_sees, left_seconds
from resourced.workloads.identity import Identity, identify, uids_of, vouched_for, whole_unit
from resourced.workloads.lease import Applicant, Cover, Lease, LeaseChange, State, Tell, Wish, signal_number
from resourced.workloads.leasefile import LeaseFile

if TYPE_CHECKING:
    from resourced.policy import Workload

MOST = 1000
MOST_OF_ONE = 100
_NAME_LENGTH = 128
_DEADLINE_SECONDS = 0.5
"""A deadline that moves by less is not told anew."""


class Registry:
    """All leases.

    `leases` and `workloads` are replaced whole and read without a lock; whatever changes them may be called by any
    thread, and takes no longer than writing a small file in memory.

    Args:
        directory: The runtime directory, where leases outlive the process; None to keep them in memory only.
        boot_id: Identity of this boot.
        report: Called with name and fields of what is worth a line in the log.
        roots: Where the kernel's trees are.
        clock: Tells the time.
    """

    def __init__(
        self,
        directory: Path | None,
        boot_id: str | None,
        *,
        report: Callable[[str, Mapping[str, Any]], None],
        roots: Roots | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.leases: Mapping[str, Lease] = MappingProxyType({})
        self.workloads: tuple[Workload, ...] = ()
        """The same as the policy sees them."""
        self._roots = roots or Roots()
        self._clock = clock or SystemClock()
        self._report = report
        self._lock = threading.RLock()
        self._held: dict[str, Held] = {}
        self._closed = False
        self._fifos = Fifos(directory / "workloads") if directory is not None else None
        self._file = LeaseFile(directory / "workloads.json" if directory else None, boot_id, self._fault)
        self._changed: Callable[[LeaseChange], None] = lambda _: None

    def load(self, changed: Callable[[LeaseChange], None]) -> None:
        """Take up what an earlier process left.

        Args:
            changed: Called with each change from now on, in order; must return at once.
        """
        self._changed = changed
        with self._lock:
            for lease in self._file.load():
                self._take_up(lease)
            if self._fifos is not None:
                self._fifos.sweep(frozenset(self._held))
            self._publish()

    def close(self) -> None:
        """Let go of all; they stay written down."""
        with self._lock:
            self._closed = True
            for held in self._held.values():
                held.close()
            self._held = {}

    # What workloads ask for

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        """Register a workload, or replace the lease that its process has under this name.

        Raises:
            TargetGone: There is no such process.
            NotYours: It, or something in its unit, belongs to somebody else; or only admins may wish for this.
            ActionRefused: It can't be registered.
            ActionFailed: It can't be told as it wants to be.
            TooMany: So many are registered already.
        """
        if wish.priority > 0 and not applicant.admin:
            raise NotYours("only root and admins may give a priority above 0")
        pid = wish.pid if wish.pid is not None else applicant.pid
        if pid is None or pid <= 0:
            raise TargetGone("say the pid of the process: the kernel does not tell who asks")
        identity = identify(pid, self._roots)
        try:
            lease = self._lease(wish, applicant, identity)
            with self._lock:
                return self._admit(lease, identity)
        except BaseException:
            identity.process.close()
            raise

    def heartbeat(self, lease_id: str) -> None:
        """Hear from a workload; raises KeyError."""
        with self._lock:
            held = self._held[lease_id]
            self._heard(held)
            self._publish(keep=False)

    def acknowledge(self, lease_id: str, decision: str | None) -> None:
        """Take note that a workload gives way.

        Raises:
            KeyError: It isn't registered.
            ActionRefused: Nothing is asked of it, or not for this decision.
        """
        with self._lock:
            held = self._held[lease_id]
            asked = set(held.requests) if decision is None else {decision} & set(held.requests)
            if not asked:
                which = "" if decision is None else f" for decision {decision[:40]}"
                raise ActionRefused(f"nothing is asked of {held.lease.name}{which}")
            new = asked - held.acknowledged
            held.acknowledged |= asked
            self._heard(held)
            held.stand()
            self._publish()
            if new:
                self._tell(LeaseChange("acknowledged", None, held.lease), held)

    def release(self, lease_id: str, reason: str, *, change: str = "released") -> None:
        """Let a workload go; raises KeyError."""
        with self._lock:
            held = self._held.pop(lease_id)
            self._part(held, reason, change)
            self._publish()

    # What is asked of workloads

    def ask(self, lease_id: str, request: Request) -> None:
        """Ask a workload to give way, once for each decision; one that has gone isn't asked."""
        with self._lock:
            held = self._held.get(lease_id)
            if held is None or request.decision in held.requests:
                return
            held.requests[request.decision] = request
            held.stand()
            self._publish()
            self._tell(LeaseChange("told", request.reason, held.lease), held)
            self._signal(held)

    def move(self, lease_id: str, decision: str, deadline: float) -> None:
        """Say that the next step follows earlier or later."""
        with self._lock:
            held = self._held.get(lease_id)
            request = held.requests.get(decision) if held is not None else None
            if held is not None and request is not None and abs(request.deadline - deadline) > _DEADLINE_SECONDS:
                held.requests[decision] = replace(request, deadline=deadline)
                held.stand()
                self._publish(keep=False)

    def withdraw(self, lease_id: str, decision: str, reason: str) -> None:
        """Ask no longer, if it was asked."""
        with self._lock:
            held = self._held.get(lease_id)
            if held is None or held.requests.pop(decision, None) is None:
                return
            held.acknowledged.discard(decision)
            held.stand()
            self._publish()
            self._tell(LeaseChange("withdrawn", reason, held.lease), held)

    def has_acknowledged(self, lease_id: str, decision: str) -> bool | None:
        """Return whether a workload has said that it gives way for a decision; None if it has gone."""
        held = self._held.get(lease_id)
        return None if held is None else decision in held.acknowledged

    # What the watching thread does

    def descriptors(self) -> Iterable[int]:
        """Return what becomes readable when a registered process ends."""
        with self._lock:
            return [held.process.fd for held in self._held.values()]

    def tend(self) -> float | None:
        """Let go of those who ended or fell silent; return in how many seconds to look again, None if at no time."""
        now = self._clock.monotonic()
        with self._lock:
            poll = select.poll()
            by_descriptor = {held.process.fd: held for held in self._held.values()}
            for descriptor in by_descriptor:
                poll.register(descriptor, select.POLLIN)
            gone = [(by_descriptor[fd], "its process has ended", "released") for fd, _ in poll.poll(0)]
            silent = [
                each for each in self._held.values() if (left := left_seconds(each, now)) is not None and left <= 0
            ]
            gone += [
                (each, f"nothing was heard of it for {each.lease.heartbeat_seconds:g} s", "lapsed")
                for each in silent
                if all(each is not other for other, _, _ in gone)
            ]
            for held, reason, change in gone:
                del self._held[held.lease.id]
                self._part(held, reason, change)
            if gone:
                self._publish()
            return min(
                (left for each in self._held.values() if (left := left_seconds(each, now)) is not None), default=None
            )

    # Inside

    def _lease(self, wish: Wish, applicant: Applicant, identity: Identity) -> Lease:
        """Return the lease that is wished for, if it may be had."""
        process, now = identity.process, self._clock.wall()
        if not applicant.admin:
            if applicant.uid is None or not vouched_for(applicant.uid, self._roots):
                raise NotYours("who you are can't be told here, so nothing can be registered for you")
            if identity.uids != {applicant.uid}:
                raise NotYours(f"process {process.pid} belongs to somebody else")
        cgroup = identity.cgroup
        if wish.scope is Cover.UNIT:
            cgroup = whole_unit(identity, self._roots, of=None if applicant.admin else applicant.uid)
        told_by = wish.signal or "SIGUSR1"
        if wish.tell is Tell.SIGNAL and signal_number(told_by) is None:
            raise ActionRefused(f"{told_by[:40]!r} is no signal by which a workload may be told")
        return Lease(
            f"w-{os.urandom(8).hex()}",
            wish.name or _printable(process.name)[:_NAME_LENGTH] or f"process {process.pid}",
            process.pid,
            process.start_time_ticks,
            identity.uid,
            cgroup,
            identity.unit,
            wish.scope,
            wish.priority,
            wish.tell,
            told_by if wish.tell is Tell.SIGNAL else None,
            None,
            wish.grace_seconds,
            wish.restartable,
            wish.heartbeat_seconds,
            now,
            now,
        )

    def _admit(self, lease: Lease, identity: Identity) -> Lease:
        same = (lease.pid, lease.start_time_ticks, lease.name)
        before = next(
            (
                held
                for held in self._held.values()
                if (held.lease.pid, held.lease.start_time_ticks, held.lease.name) == same
            ),
            None,
        )
        if before is None:
            self._make_room(lease.uid)
        else:
            lease = replace(lease, id=before.lease.id, registered=before.lease.registered)
        fifo, path = self._open_fifo(lease)
        held = Held(replace(lease, file=path), identity.process, fifo, self._clock.monotonic())
        if before is not None:
            held.requests, held.acknowledged = before.requests, before.acknowledged
            before.close()
            if path is None:
                self._remove_fifo(lease.id)
        held.stand()
        self._held[lease.id] = held
        self._publish()
        self._report("workload_registered", about(held.lease))
        self._tell(LeaseChange("registered", None, held.lease), held)
        return held.lease

    def _make_room(self, uid: int) -> None:
        if len(self._held) >= MOST:
            raise TooMany(f"{MOST} workloads are registered, which is the limit", own=False)
        if sum(held.lease.uid == uid for held in self._held.values()) >= MOST_OF_ONE:
            raise TooMany(f"{MOST_OF_ONE} workloads of user {uid} are registered, which is the limit", own=True)

    def _open_fifo(self, lease: Lease) -> tuple[int | None, str | None]:
        if lease.tell is not Tell.FILE:
            return None, None
        if self._fifos is None:
            raise ActionFailed("there is no runtime directory in which a file could be made")
        descriptor, path = self._fifos.open(lease.id, lease.uid)
        return descriptor, str(path)

    def _remove_fifo(self, lease_id: str) -> None:
        if self._fifos is not None:
            self._fifos.remove(lease_id)

    def _take_up(self, lease: Lease) -> None:
        """Hold again what an earlier process held; who was asked by that one is asked no longer."""
        try:
            process = ProcessHandle(lease.pid, lease.start_time_ticks, self._roots)
        except (TargetGone, ActionFailed):
            self._report("workload_released", {**about(lease), "reason": "its process has ended"})
            return
        try:
            fifo, path = self._open_fifo(lease)
        except ActionFailed as error:
            self._fault(str(error))
            fifo, path = None, None
        asked, lease = lease.request is not None, replace(lease, state=State.REGISTERED, request=None, file=path)
        held = Held(lease, process, fifo, self._clock.monotonic())
        self._held[lease.id] = held
        if asked:
            self._tell(LeaseChange("withdrawn", "the daemon was started again", lease), held)

    def _heard(self, held: Held) -> None:
        held.silent_since = self._clock.monotonic()
        held.lease = replace(held.lease, heard=self._clock.wall())

    def _part(self, held: Held, reason: str, change: str) -> None:
        held.close()
        self._remove_fifo(held.lease.id)
        self._report("workload_released", {**about(held.lease), "reason": reason})
        self._changed(LeaseChange(change, reason, held.lease))

    def _tell(self, change: LeaseChange, held: Held) -> None:
        self._changed(change)
        if held.fifo is not None and change.change in ("told", "withdrawn"):
            write_line(held.fifo, json.dumps(asdict(change)).encode() + b"\n")

    def _signal(self, held: Held) -> None:
        """Send the signal, unless the process has become somebody else since it was registered."""
        number = signal_number(held.lease.signal or "")
        if number is None or set(uids_of(held.lease.pid, self._roots)) != {held.lease.uid}:
            return
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(held.process.fd, number)

    def _publish(self, *, keep: bool = True) -> None:
        self.leases = MappingProxyType({lease_id: held.lease for lease_id, held in self._held.items()})
        if keep and not self._closed:
            self._file.save(self.leases.values())
            self.workloads = tuple(as_policy_sees(each) for each in self.leases.values())

    def _fault(self, reason: str) -> None:
        self._report("workloads_failed", {"reason": reason})


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
