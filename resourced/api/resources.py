"""The newest sample as bytes: every resource is encoded at most once a sample, when it is first asked for."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from resourced.api.answers import Answer, to_json
from resourced.api.openmetrics import MEDIA_TYPE, Exposition
from resourced.api.problem import Problem
from resourced.api.service import Service, StateView
from resourced.api.views import RESOURCES, cut, section_view, sorted_processes
from resourced.decision import Verdict


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """How samples are served."""

    cache_seconds: float = 1.0
    """For how long callers may keep an answer."""
    top: int = 20
    """How many processes and cgroups by processor use, and by memory, /resources/all holds."""


class Encoded:
    """The answers made of the newest state, kept until the next.

    Args:
        service: Where states come from.
        settings: How they are served.
    """

    def __init__(self, service: Service, settings: ResourceSettings) -> None:
        self._service = service
        self._cache_control = f"max-age={int(settings.cache_seconds)}".encode()
        self._instance = secrets.token_hex(4)  # sequences start anew with the daemon
        self._exposition = Exposition(service.version)
        self._state: StateView | None = None
        self._answers: dict[str, Answer] = {}
        self._top = settings.top
        self._writers: dict[str, Callable[[StateView], bytes]] = {
            "/resources/all": lambda s: to_json(cut(s.snapshot, self._top)),
            "/prune": lambda s: to_json(verdict_of(s)),
            "/metrics": self._exposition.render,
        }
        for name, section in RESOURCES.items():
            self._writers[f"/resources/{name}"] = _section_writer(section)

    def get(self, path: str) -> Answer | None:
        """Return the answer to a plain GET of a path, or None if the path isn't one of these or there is no sample."""
        state = self._service.state
        if state is not self._state:
            self._state = state
            self._answers.clear()
        found = self._answers.get(path)
        if found is None and state is not None:
            writer = self._writers.get(path)
            if writer is not None:
                found = self._answers[path] = self.answer(state, path, writer(state))
        return found

    def answer(self, state: StateView, path: str, body: bytes) -> Answer:
        """Return an answer that may be kept as long as the sample is the newest."""
        etag = f'"{self._instance}-{state.snapshot.sequence}"'.encode()
        media_type = MEDIA_TYPE if path == "/metrics" else b"application/json"
        return Answer(body, etag=etag, cache_control=self._cache_control, media_type=media_type)

    def newest(self, path: str) -> Answer:
        """Return the answer to a path that is one of these.

        Raises:
            Problem: 503 before the first sample.
        """
        found = self.get(path)
        if found is None:
            raise no_sample()
        return found


def no_sample() -> Problem:
    """Return the problem that there is no sample yet."""
    return Problem(503, "no sample has been taken yet; ask again in a second", headers={"retry-after": "1"})


def verdict_of(state: StateView) -> Verdict:
    """Return the state's verdict, or one that says that the rules haven't been judged."""
    snapshot = state.snapshot
    if state.verdict is not None:  # which is false in a boolean context while nothing should be pruned
        return state.verdict
    return Verdict(
        prune=False,
        time=snapshot.time,
        sequence=snapshot.sequence,
        reasons=("the rules have not been judged yet",),
        rules=(),
        decisions=(),
        missing=(),
    )


def _section_writer(section: str) -> Callable[[StateView], bytes]:
    def write(state: StateView) -> bytes:
        snapshot = state.snapshot
        if section == "processes" and snapshot.processes is not None:
            return to_json(section_view(snapshot, section, sorted_processes(snapshot.processes, "cpu", None)))
        return to_json(section_view(snapshot, section))

    return write
