"""Every question that can be asked, as data: the two clients differ in how they wait, not in what they ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from resourced.client import answers
from resourced.client import workloads as documents
from resourced.client.answers import Explained, Resource, Table, Top
from resourced.client.workloads import Workload
from resourced.decision import Decision, Verdict

if TYPE_CHECKING:
    from resourced.snapshot import Snapshot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how its answer is read.

    Attributes:
        method: GET, POST or DELETE.
        path: Path below the server.
        parse: Makes the answer from the decoded JSON.
        params: Query parameters; those that are None are left out.
        body: Sent as JSON.
        patience_seconds: How long the daemon may take besides the usual, because it was asked to wait.
    """

    method: str
    path: str
    parse: Callable[[Any], T]
    params: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    patience_seconds: float = 0.0

    @property
    def query(self) -> dict[str, Any]:
        """Return the parameters that are set."""
        return {name: value for name, value in self.params.items() if value is not None}


def _same(body: Any) -> Any:
    return body


def get(path: str, **params: Any) -> Call[Any]:
    """Read any path; the answer is the decoded JSON."""
    return Call("GET", path, _same, params)


def resource(name: str, *, fresh: bool = False) -> Call[Resource]:
    """Read one section of the newest snapshot."""
    return Call("GET", f"/resources/{quote(name)}", lambda body: answers.resource(name, body), _fresh(fresh))


def everything(*, fresh: bool = False, full: bool = False) -> "Call[Snapshot]":
    """Read the newest snapshot."""
    return Call("GET", "/resources/all", answers.snapshot, {**_fresh(fresh), "full": 1 if full else None})


def should_prune(*, fresh: bool = False) -> Call[Verdict]:
    """Ask whether something must give way."""
    return Call("GET", "/prune", answers.verdict, _fresh(fresh))


def prune(pid: int | None, unit: str | None, workload: str | None) -> Call[dict[str, Any]]:
    """Ask whether this one would have to give way."""
    return Call("GET", "/prune", _same, {"pid": pid, "unit": unit, "workload": workload})


def history(
    metrics: Sequence[str],
    start: float | str | None,
    end: float | str | None,
    step: float | str | None,
    points: int | None,
    aggregate: str | None,
) -> Call[Table]:
    """Read series from the history."""
    params = {"metric": list(metrics), "start": start, "end": end, "step": step, "points": points}
    return Call("GET", "/history", answers.table, {**params, "aggregate": aggregate})


def at(time: float | str) -> Call[dict[str, Any]]:
    """Read a past moment as a whole."""
    return Call("GET", "/resources/all", _same, {"at": time})


def top(of: str, **params: Any) -> Call[Top]:
    """Ask who used most over a time."""
    return Call("GET", "/history/top", answers.top, {"of": of, **params})


def export(start: float | str | None, end: float | str | None) -> Call[Any]:
    """Ask for a recording; its answer is no JSON and is read by `download`."""
    return Call("GET", "/history/export", _same, {"start": start, "end": end})


def decisions(**params: Any) -> Call[list[Decision]]:
    """List decisions, newest first."""
    return Call("GET", "/decisions", answers.decisions, params)


def decision(identity: str) -> Call[Explained]:
    """Read one decision with what came of it."""
    return Call("GET", f"/decisions/{quote(identity, safe='')}", answers.explained)


def answer(identity: str, verb: str) -> Call[Any]:
    """Give one's word on a decision: approve, veto or thaw."""
    return Call("POST", f"/decisions/{quote(identity, safe='')}/{verb}", _same)


def register_workload(**wishes: Any) -> Call[Workload]:
    """Register a workload; wishes that are None are left to the daemon."""
    body = {name: value for name, value in wishes.items() if value is not None}
    return Call("POST", "/workloads", documents.workload, body=body)


def workloads() -> Call[list[Workload]]:
    """List the workloads that the caller may see."""
    return Call("GET", "/workloads", documents.workloads)


def workload(identity: str, wait_seconds: float | None) -> Call[Workload]:
    """Read one workload, at once or when something changed about it."""
    params = {"wait": wait_seconds}
    return Call("GET", _workload(identity), documents.workload, params, patience_seconds=wait_seconds or 0.0)


def heartbeat(identity: str) -> Call[Any]:
    """Give a sign of life."""
    return Call("POST", _workload(identity, "/heartbeat"), _same)


def acknowledge(identity: str, decision: str | None) -> Call[Any]:
    """Say that the request was understood."""
    return Call("POST", _workload(identity, "/acknowledge"), _same, body={"decision": decision} if decision else {})


def release_workload(identity: str) -> Call[Any]:
    """End a registration."""
    return Call("DELETE", _workload(identity), _same)


def _workload(identity: str, verb: str = "") -> str:
    return f"/workloads/{quote(identity, safe='')}{verb}"


def set_log_level(level: str) -> Call[Any]:
    """Change the level of the daemon's log."""
    return Call("POST", "/log-level", _same, body={"level": level})


def reload() -> Call[Any]:
    """Read the configuration again."""
    return Call("POST", "/reload", _same)


def _fresh(fresh: bool) -> dict[str, Any]:  # noqa: FBT001 - the caller's flag, passed on
    return {"fresh": 1 if fresh else None}
