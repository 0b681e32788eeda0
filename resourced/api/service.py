"""What the API needs of the daemon, and nothing more: the daemon provides it, tests provide a small one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from resourced.decision import Decision, Outcome, Verdict
from resourced.snapshot import Snapshot
from resourced.workloads import Applicant, Lease, Wish


class StateView(Protocol):
    """What is known at one moment: a sample and what the rules say of it. It is replaced whole, never changed."""

    @property
    def snapshot(self) -> Snapshot:
        """The sample."""
        ...

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on it; None until the rules have been judged once."""
        ...


class HistoryView(Protocol):
    """The questions that the API asks the history. All may block, so they are asked in a thread."""

    def query(
        self,
        metrics: Sequence[str],
        *,
        start: float,
        end: float,
        step: float | None = None,
        points: int | None = None,
        aggregate: str = "mean",
    ) -> Any:
        """Return a table of values; see `resourced.api.views.history_view` for the attributes that are read."""
        ...

    def at(self, time: float) -> Mapping[str, Any]:
        """Return a past moment as the JSON of a snapshot.

        Raises:
            QueryError: Nothing was recorded around this time.
        """
        ...

    def top(self, of: str, *, by: str, start: float, end: float, order: str = "peak", limit: int = 10) -> Any:
        """Return who used most; see `resourced.api.views.TopAnswer` for the attributes that are read.

        Raises:
            QueryError: There is no such thing.
        """
        ...

    def recording(self, since: float, until: float) -> BinaryIO:
        """Return a recording of some time as an open file that has no name, which the caller closes.

        Raises:
            HistoryError: It can't be written.
        """
        ...

    def decisions(
        self,
        since: float | None = None,
        until: float | None = None,
        rule: str | None = None,
        unit: str | None = None,
        user: str | None = None,
        limit: int = 100,
    ) -> list[Decision]:
        """Return recorded decisions, newest first."""
        ...

    def decision(self, id: str) -> Decision | None:  # noqa: A002 - the field's own name
        """Return one decision, or None if it isn't recorded."""
        ...

    def outcomes(self, decision_id: str) -> list[Outcome]:
        """Return what was done about a decision, oldest first."""
        ...

    def outcomes_since(self, since: float, limit: int = 100) -> list[Outcome]:
        """Return what was done since a time, about whatever decision, newest first."""
        ...

    def events(self, since: float | None = None, until: float | None = None, limit: int = 100) -> list[Any]:
        """Return recorded LoggedEvents, newest first."""
        ...


class WorkloadsView(Protocol):
    """Registered workloads. Whatever changes something may block for as long as writing a small file takes."""

    def leases(self) -> Mapping[str, Lease]:
        """Return who is registered, by id; replaced whole, never changed."""
        ...

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        """Register a workload, or replace the lease that its process has under this name.

        Raises:
            TargetGone: There is no such process.
            NotYours: It belongs to somebody else, or only admins may wish for this.
            ActionRefused: It can't be registered.
            ActionFailed: It can't be told as it wants to be.
            TooMany: So many are registered already.
        """
        ...

    def heartbeat(self, lease_id: str) -> None:
        """Hear from a workload; raises KeyError if it isn't registered."""
        ...

    def acknowledge(self, lease_id: str, decision: str | None) -> None:
        """Take note that a workload gives way.

        Raises:
            KeyError: It isn't registered.
            ActionRefused: Nothing is asked of it, or not for this decision.
        """
        ...

    def release(self, lease_id: str, who: str) -> None:
        """Let a workload go; raises KeyError if it isn't registered."""
        ...


class Service(Protocol):
    """The daemon as the API sees it. Methods that may block or wait are coroutines; all others return at once."""

    @property
    def state(self) -> StateView | None:
        """The newest state; None before the first sample."""
        ...

    @property
    def history(self) -> HistoryView:
        """The history."""
        ...

    @property
    def workloads(self) -> WorkloadsView:
        """Registered workloads."""
        ...

    @property
    def version(self) -> str:
        """Version of resourced."""
        ...

    def now(self) -> float:
        """Return the present moment, seconds since the epoch: of a recording that is replayed, the recorded one."""
        ...

    async def fresh(self) -> StateView:
        """Sample now and return the new state; concurrent callers share one sample."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """Return how the daemon itself does: pid, uptime, CPU, memory, lag, store, listeners."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Return whether samples are fresh, and a sentence that says why not."""
        ...

    def outlook(
        self, pid: int | None = None, unit: str | None = None, workload: str | None = None
    ) -> Mapping[str, Any] | None:
        """Return how one process, unit or workload would fare if every rule fired now; None if there is no such."""
        ...

    async def command_lines(self, pids: Sequence[int]) -> Mapping[int, str | None]:
        """Read the command lines of processes now; None for those that are gone, unreadable, or hold up who reads."""
        ...

    def set_log_level(self, level: str) -> None:
        """Change what is logged.

        Raises:
            ValueError: There is no such level; the text names those that exist.
        """
        ...

    async def reload(self) -> None:
        """Read the configuration again and put it into force.

        Raises:
            ConfigError: It is not usable; the running one stays.
        """
        ...

    def configuration(self) -> Mapping[str, Any]:
        """Return what is in force: files, every setting with where it was said, and all of it as text."""
        ...

    async def approve(self, decision_id: str, who: str) -> None:
        """Let an advised decision be carried out.

        Raises:
            ActionRefused: It can't be any more, or never could.
        """
        ...

    async def veto(self, decision_id: str, who: str) -> None:
        """Call a decision off.

        Raises:
            ActionRefused: It is too late, or nothing was to be done.
        """
        ...

    async def thaw(self, decision_id: str, who: str) -> None:
        """Let what a decision has frozen run on.

        Raises:
            ActionRefused: Nothing is frozen for it.
        """
        ...

    def actions(self) -> Mapping[str, Any]:
        """Return what is under way, what can be undone, and who else may kill; see `resourced.acting.Acting`."""
        ...

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each new state, from any thread; returns what ends it."""
        ...

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each Decision, Outcome and LoggedEvent as it is recorded; returns what ends it."""
        ...

    def audit(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a line to the journal: a refusal, a change that was asked for, a fault of the API."""
        ...
