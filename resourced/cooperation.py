"""Workloads that cooperate, tied to the rest: registered ones are told by who acts, and seen by policy, API and log."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resourced.clock import read_boot_id
from resourced.collectors.base import Roots
from resourced.decision import Candidate, Mode, Phase, Request
from resourced.manager import Report, ResourceManager, State
from resourced.policy import Look, Workload
from resourced.workloads import Applicant, Cover, Lease, LeaseChange, PressureSocket, Registry, Watch, Wish
from resourced.workloads.pressure import Nudge

_MEMORY = ("memory", "swap")
_SOCKET = "pressure.sock"


class Cooperation:
    """Everything about registered workloads.

    Args:
        directory: The runtime directory; None to have neither files nor a socket in it.
        report: Called with name and fields of what is worth a line in the log.
        roots: Where the kernel's trees are.
    """

    def __init__(self, directory: Path | None, *, report: Report, roots: Roots | None = None) -> None:
        roots = roots or Roots()
        self._report = report
        self._registry = Registry(directory, read_boot_id(roots.proc), report=report, roots=roots)
        self._watch = Watch(self._registry, self._fault)
        self._pressure = PressureSocket(directory / _SOCKET if directory else None, roots, self._watch.wake)

    def start(self, manager: ResourceManager, wake: Callable[[], None]) -> None:
        """Take up what an earlier process left, and begin to tell.

        Args:
            manager: Tells those who follow, and what is judged.
            wake: Makes who acts look at answers; may be called from any thread.
        """

        def changed(change: LeaseChange) -> None:
            manager.tell(change)
            wake()
            self._watch.wake()

        self._registry.load(changed)
        try:
            self._pressure.open()
        except OSError as error:
            self._fault(f"{_SOCKET}: {error.strerror}")
        manager.subscribe(self._on_state)
        self._watch.start(self._pressure)

    def stop(self) -> None:
        """End; who is registered stays so for the next process."""
        self._watch.stop()

    # For the policy

    def workloads(self) -> tuple[Workload, ...]:
        """Return who is registered, as the policy sees them."""
        return self._registry.workloads

    # For the API

    def leases(self) -> Mapping[str, Lease]:
        """Return who is registered, by id; replaced whole with each change."""
        return self._registry.leases

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        """Register a workload; see `Registry.register` for errors."""
        return self._registry.register(wish, applicant)

    def heartbeat(self, lease_id: str) -> None:
        """Hear from a workload; raises KeyError."""
        self._registry.heartbeat(lease_id)

    def acknowledge(self, lease_id: str, decision: str | None) -> None:
        """Take note that a workload gives way; raises KeyError, or ActionRefused if nothing is asked of it."""
        self._registry.acknowledge(lease_id, decision)

    def release(self, lease_id: str, who: str) -> None:
        """Let a workload go; raises KeyError."""
        self._registry.release(lease_id, f"released by {who}")

    # For who acts

    def approach(self, candidate: Candidate, look: Look, resource: str) -> Sequence[Lease]:
        """Return who is registered in a target, and wake who waits for memory pressure there."""
        if resource in _MEMORY:
            pids = frozenset(pid for pid, _ in look.members)
            whole = candidate.cgroup if candidate.key.startswith("/") else None
            self._pressure.nudge(Nudge("decision", pids, whole))
        members = frozenset(look.members)
        return [lease for lease in self._registry.leases.values() if _is_in(lease, candidate, members)]

    def ask(self, lease_id: str, request: Request) -> None:
        """Ask a workload to give way."""
        self._registry.ask(lease_id, request)

    def move(self, lease_id: str, decision: str, deadline: float) -> None:
        """Say that the next step follows earlier or later."""
        self._registry.move(lease_id, decision, deadline)

    def has_acknowledged(self, lease_id: str, decision: str) -> bool | None:
        """Return whether a workload gives way; None if it has gone."""
        return self._registry.has_acknowledged(lease_id, decision)

    def withdraw(self, lease_id: str, decision: str, reason: str) -> None:
        """Ask no longer."""
        self._registry.withdraw(lease_id, decision, reason)

    def _on_state(self, state: State) -> None:
        """Wake all who wait for memory pressure while a rule about memory fires that may act."""
        judged = state.judgement.state if state.judgement is not None else None
        if judged is None or judged.binding is None:
            return
        for bound, standing in zip(judged.binding.instances, judged.instances, strict=True):
            rule = bound.rule
            if standing.phase is Phase.FIRING and rule.mode is Mode.ENFORCE and rule.resource in _MEMORY:
                self._pressure.nudge(Nudge("rule"))
                return

    def _fault(self, reason: str) -> None:
        self._report("workloads_failed", {"reason": reason})


def _is_in(lease: Lease, candidate: Candidate, members: frozenset[tuple[int, int]]) -> bool:
    """Return whether dealing with a target deals with a workload: its process, its unit, or a part of that."""
    if (lease.pid, lease.start_time_ticks) in members:
        return True
    if lease.scope is not Cover.UNIT or lease.cgroup is None or candidate.cgroup is None:
        return False
    unit, target = f"{lease.cgroup}/", f"{candidate.cgroup}/"
    return target.startswith(unit) or (candidate.key.startswith("/") and unit.startswith(target))
