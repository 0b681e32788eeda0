"""The whole API on a recording: like the daemon from outside, and nothing of this machine is read or touched."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from resourced import journal
from resourced.configdump import effective_values
from resourced.configfiles import Loaded
from resourced.errors import ActionRefused
from resourced.front import Front
from resourced.journal import Notifier
from resourced.manager import State
from resourced.parts import access_settings, gap_seconds, log_settings, rules_of
from resourced.player import Played, Player
from resourced.process import CONTROL_THREADS
from resourced.service import DaemonService
from resourced.workloads import Applicant, Lease, Wish


def run(load: Callable[[], Loaded], path: Path, speed: float) -> int:
    """Serve a recording until SIGTERM or SIGINT; return the exit code.

    Args:
        load: Reads the configuration, now and at each reload.
        path: The recording.
        speed: How many recorded seconds pass in one; 0 for as many as can be.

    Raises:
        ConfigError: The configuration, or a socket that it names, can't be used.
        HistoryError: The recording can't be used.
    """
    loaded = load()
    journal.configure(log_settings(loaded.config))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        with Played(path) as recording:
            replaying = Replaying(loaded, load, recording, path, speed)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(replaying.live())
    finally:
        journal.shut_down()
    return 0


class Onlooker:
    """Who acts where nothing can be done any more: nobody."""

    async def approve(self, decision_id: str, who: str) -> None:
        """Refuse: what is over can't be acted upon."""
        del decision_id, who
        raise ActionRefused("a recording is served: nothing can be done about what is over")

    async def veto(self, decision_id: str, who: str) -> None:
        """Refuse likewise."""
        await self.approve(decision_id, who)

    async def thaw(self, decision_id: str, who: str) -> None:
        """Refuse likewise."""
        await self.approve(decision_id, who)

    def describe(self) -> dict[str, Any]:
        """Return that nothing is under way."""
        return {"courses": [], "changes": [], "rivals": []}

    def rivals(self) -> list[str]:
        """Return nobody."""
        return []


class Nobody:
    """Who is registered where nobody can be told any more: nobody."""

    def leases(self) -> dict[str, Lease]:
        """Return nobody."""
        return {}

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        """Refuse: a recording asks nobody to give way."""
        del wish, applicant
        raise ActionRefused("a recording is served: nobody can be told about what is over")

    def heartbeat(self, lease_id: str) -> None:
        """Know of none."""
        raise KeyError(lease_id)

    def acknowledge(self, lease_id: str, decision: str | None) -> None:
        """Know of none."""
        raise KeyError(lease_id, decision)

    def release(self, lease_id: str, who: str) -> None:
        """Know of none."""
        raise KeyError(lease_id, who)


class ReplayService(DaemonService):
    """A recording as the API sees it."""

    def __init__(
        self,
        player: Player,
        recording: Played,
        *,
        reload: Callable[[], Awaitable[None]],
        describe: Callable[[], Mapping[str, Any]],
        configuration: Callable[[], Mapping[str, Any]],
    ) -> None:
        super().__init__(
            player,
            recording,
            acting=Onlooker(),
            workloads=Nobody(),
            reload=reload,
            describe=describe,
            configuration=configuration,
        )
        self._player = player

    def now(self) -> float:
        """Return the recorded moment that is being played."""
        return self._player.now

    def _age_seconds(self, state: State) -> float:
        del state
        return self._player.age_seconds

    def ready(self) -> tuple[bool, str]:
        """Return whether a sample has been played."""
        if self.state is None:
            return False, "no sample has been played yet"
        return True, "a recording is served"

    async def command_lines(self, pids: Sequence[int]) -> dict[int, str | None]:
        """Know none: a recording holds no command lines, and the processes of this machine are others."""
        return dict.fromkeys(pids)

    def keep(self, event: str, fields: Mapping[str, Any]) -> None:
        """Keep nothing: what happens now is no part of the recording."""


class Replaying:
    """All parts that serve a recording, tied together."""

    def __init__(self, loaded: Loaded, load: Callable[[], Loaded], recording: Played, path: Path, speed: float) -> None:
        self._loaded = loaded
        self._load = load
        self._path = path
        self._speed = speed
        self._ending = asyncio.Event()
        self._notifier = Notifier()
        self._player = Player(
            recording,
            rules_of(loaded.config),
            speed=speed,
            gap_seconds=gap_seconds(loaded.config),
            report=journal.report,
        )
        self._front = Front(loaded.config)
        self._front.open(
            ReplayService(
                self._player,
                recording,
                reload=self.reload,
                describe=self._describe,
                configuration=lambda: effective_values(self._loaded),
            )
        )

    async def live(self) -> None:
        """Serve until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        loop.set_default_executor(ThreadPoolExecutor(CONTROL_THREADS, "control"))
        serving = asyncio.create_task(self._front.serve())
        await self._front.started()
        self._player.start_playing()
        about = {"path": str(self._path), "listeners": ", ".join(self._front.listeners)}
        about |= {"start": _written(self._player.start), "end": _written(self._player.end)}
        journal.report("replay_started", about)
        self._notifier.ready(f"serving {self._path}")
        ended = asyncio.create_task(self._ending.wait())
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        self._notifier.stopping()
        await asyncio.to_thread(self._player.stop)
        self._front.stop()
        await serving
        self._front.remove_socket()
        self._notifier.close()

    async def reload(self) -> None:
        """Read the configuration again; what is still to come is judged by its rules.

        Raises:
            ConfigError: It can't be used; everything stays as it was.
        """
        loaded = await asyncio.to_thread(self._load)
        rules = rules_of(loaded.config)
        access = await asyncio.to_thread(access_settings, loaded.config)
        await asyncio.to_thread(self._front.renew_certificate)
        self._loaded = loaded
        self._player.set_rules(rules)
        self._front.set_access(access)

    def _describe(self) -> dict[str, Any]:
        return {
            "listeners": list(self._front.listeners),
            "replay": {
                "path": str(self._path),
                "speed": self._speed,
                "start": self._player.start,
                "end": self._player.end,
                "now": self._player.now,
                "ended": self._player.ended.is_set(),
            },
            "policy": {"rules": [rule.name for rule in self._player.rules]},
        }


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
