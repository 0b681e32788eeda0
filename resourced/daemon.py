"""The composition root: builds the parts from the configuration, ties them together, and ends them in order."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvloop

from resourced import __version__, journal
from resourced.acting import Acting
from resourced.clock import SystemClock
from resourced.config import ResourceConfig, runtime_directory, state_directory
from resourced.configdump import effective_values
from resourced.configfiles import Loaded
from resourced.cooperation import Cooperation
from resourced.decision import Mode, Phase
from resourced.errors import ConfigError
from resourced.front import Front
from resourced.history import History
from resourced.journal import Notifier
from resourced.manager import ResourceManager, State
from resourced.messenger import Messenger
from resourced.monitor import ResourceMonitor
from resourced.parts import (
    access_settings,
    action_settings,
    changed_keys,
    guard_settings,
    history_settings,
    log_settings,
    messenger_settings,
    needs_restart,
    rules_of,
)
from resourced.policy import JudgeState
from resourced.process import CONTROL_THREADS, Slimmer, be_nice, bound_heap, lock_memory, raise_descriptor_limit, settle
from resourced.service import DaemonService
from resourced.sources import sources_of, switched_off

_STATUS_SECONDS = 10.0
_SWITCH_SECONDS = 0.0005
"""Longest that a thread computing an answer keeps the interpreter from the one that samples. That one lets go of it at
each of its hundreds of small reads, and may wait Python's usual 5 ms after any. Beside a busy thread 200 reads took up
to 17 ms with the usual, 4 ms with this."""
_JUDGED = "policy"


def run(load: Callable[[], Loaded]) -> int:
    """Run the daemon until SIGTERM or SIGINT; return its exit code.

    Args:
        load: Reads the configuration, now and at each reload.

    Raises:
        ConfigError: The configuration, or a socket that it names, can't be used.
    """
    bound_heap()
    sys.setswitchinterval(_SWITCH_SECONDS)
    loaded = load()
    journal.configure(log_settings(loaded.config))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        daemon = Daemon(loaded, load)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            stuck = runner.run(daemon.live())
    finally:
        journal.shut_down()
    if stuck:
        os._exit(0)  # a thread that the kernel holds would keep the interpreter from ending
    return 0


class Daemon:
    """All parts, built and tied together.

    Args:
        loaded: The configuration to start with.
        load: Reads it again.
    """

    def __init__(self, loaded: Loaded, load: Callable[[], Loaded]) -> None:
        self._began = time.monotonic()
        self._loaded = loaded
        self._load = load
        self._ending = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._reason = "asked to"
        self._service: DaemonService | None = None
        self._early: list[tuple[str, Mapping[str, Any]]] = []
        config = loaded.config
        journal.report("daemon_started", {"version": __version__, "configuration": self._told_files()})
        for warning in loaded.warnings:
            journal.get_logger("resourced.daemon").warning(warning)
        raise_descriptor_limit(config.collectors.processes.descriptors)
        refused = be_nice(config.daemon.nice) if config.daemon.nice is not None else None
        if refused:
            journal.get_logger("resourced.daemon").warning(f"daemon.nice: {refused}; a service has Nice= in its unit")
        rules = rules_of(config)
        self._front = Front(config)
        self._notifier = Notifier()
        directory = state_directory(config, os.environ, os.geteuid()) if config.history.enabled else None
        self._history = History(directory, settings=history_settings(config), clock=SystemClock(), report=self._report)
        self._monitor = ResourceMonitor(sources_of(config), off=switched_off(config))
        self._history.open()
        runtime = self._runtime_directory()
        self._cooperation = Cooperation(runtime, report=self._report)
        self._manager = ResourceManager(
            self._monitor,
            rules,
            history=self._history,
            interval_seconds=config.sampling.interval,
            report=self._report,
            judged=self._judged_before(),
            workloads=self._cooperation.workloads,
        )
        self._acting = Acting(
            self._manager,
            self._history,
            report=self._report,
            settings=action_settings(config),
            guard=guard_settings(config),
            ledger_path=runtime / "actions.json" if runtime is not None else None,
            workloads=self._cooperation,
        )
        self._messenger = Messenger(messenger_settings(config), self._report)
        service = DaemonService(
            self._manager,
            self._history,
            acting=self._acting,
            workloads=self._cooperation,
            reload=self.reload,
            describe=self._describe,
            configuration=lambda: effective_values(self._loaded),
        )
        for event, fields in self._early:
            service.keep(event, fields)
        self._service = service
        self._front.open(service)
        self._keeper = _Keeper(self._manager, self._history, self._notifier, config)

    async def live(self) -> bool:
        """Serve until told to end; return whether a thread is stuck, so that the process must be left by force."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number.name)
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(self._reload_by_signal()))
        loop.add_signal_handler(signal.SIGUSR1, self._log_level, "debug")
        loop.add_signal_handler(signal.SIGUSR2, self._log_level, None)
        loop.set_default_executor(ThreadPoolExecutor(CONTROL_THREADS, "control"))
        self._manager.follow(self._messenger.take)
        self._messenger.start()
        self._cooperation.start(self._manager, self._acting.executor.wake)
        self._acting.start()
        # In this order: who connects while it starts waits for the first sample, and is then answered with it.
        await asyncio.to_thread(self._manager.tick)
        serving = asyncio.create_task(self._front.serve())
        await self._front.started()
        self._manager.subscribe(self._keeper.on_state)
        self._manager.start()
        self._ready()
        ended = asyncio.create_task(self._ending.wait())
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        return await self._stop(serving)

    async def reload(self) -> None:
        """Read the configuration again and put into force what can be changed while running.

        Raises:
            ConfigError: It can't be used; everything stays as it was.
        """
        async with self._reloading:
            self._notifier.reloading()
            status = "running; the configuration on disk was refused, see the log"
            try:
                await self._reload()
                status = self._keeper.summary()
            except ConfigError as error:
                self._report("config_refused", {"reason": str(error)})
                raise
            except Exception as error:
                reason = f"a fault in resourced: {type(error).__name__}: {error}"
                self._report("config_refused", {"reason": reason})
                raise ConfigError(reason) from error
            finally:
                self._notifier.ready(status)  # or systemd believes for ever that it reloads

    async def _reload(self) -> None:
        loaded = await asyncio.to_thread(self._load)
        rules = rules_of(loaded.config)
        access = await asyncio.to_thread(access_settings, loaded.config)
        renewed = await asyncio.to_thread(self._front.renew_certificate)
        before, config = self._loaded.config, loaded.config
        keys = changed_keys(before, config)
        self._loaded = loaded
        self._manager.interval_seconds = config.sampling.interval
        if any(key.startswith(("sampling.", "collectors.")) for key in keys):
            await asyncio.to_thread(self._monitor.reconfigure, sources_of(config), switched_off(config))
        if any(key.startswith(("rule.", "policy.", "actions.", "guard.")) for key in keys):
            await asyncio.to_thread(self._manager.set_rules, rules)
            self._acting.settle(action_settings(config), guard_settings(config))
            self._lock_memory()
        self._front.set_access(access)
        if "log.level" in keys:
            journal.set_level(config.log.level)
        later = needs_restart(keys)
        told = {"changed": ", ".join((*keys, *(["the certificate"] if renewed else []))) or "nothing"}
        if later:
            told["waits_for_restart"] = ", ".join(later)
        self._report("daemon_reloaded", told)

    async def _reload_by_signal(self) -> None:
        with contextlib.suppress(ConfigError):  # it has been reported
            await self.reload()

    def _ready(self) -> None:
        settle()
        self._lock_memory()
        seconds = round(time.monotonic() - self._began, 3)
        self._report("daemon_ready", {"seconds": seconds, "listeners": ", ".join(self._front.listeners)})
        self._notifier.ready(self._keeper.summary())

    async def _stop(self, serving: "asyncio.Task[None]") -> bool:
        self._notifier.stopping()
        self._report("daemon_stopping", {"reason": self._reason})
        self._front.stop()
        try:
            async with asyncio.timeout(self._loaded.config.daemon.stop_timeout):
                await serving
        except TimeoutError:
            journal.get_logger("resourced.daemon").warning("requests under way were cut off")
        finally:
            ended = await asyncio.to_thread(self._acting.stop, self._loaded.config.daemon.stop_timeout)
            ended &= await asyncio.to_thread(self._messenger.stop, 0.5)
            await asyncio.to_thread(self._cooperation.stop)
            await asyncio.to_thread(self._manager.stop)
            self._keeper.save()
            await asyncio.to_thread(self._history.close)
            stuck = self._monitor.close(timeout_seconds=0.5)
            self._front.remove_socket()
        self._report("daemon_stopped", {})
        self._notifier.close()
        return bool(stuck) or not ended

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._ending.set()

    def _lock_memory(self) -> None:
        """Keep out of swap what must act when all else waits for it."""
        config = self._loaded.config
        if config.daemon.memory_lock and config.guard.enabled and config.policy.mode is Mode.ENFORCE:
            refused = lock_memory()
            if refused:
                self._report("guard_unavailable", {"reason": f"its memory can be swapped out: {refused}"})

    def _log_level(self, level: str | None) -> None:
        if self._service is not None:
            self._service.set_log_level(level or self._loaded.config.log.level)

    def _report(self, event: str, fields: Mapping[str, Any]) -> None:
        """Log an event; warnings are kept in the history too."""
        if self._service is None:
            journal.report(event, fields)
            self._early.append((event, fields))
        else:
            self._service.report(event, fields)

    def _judged_before(self) -> JudgeState | None:
        text = self._history.load_state(_JUDGED)
        if text is None:
            return None
        try:
            return JudgeState.from_json(text).after_restart()
        except ValueError as error:
            journal.get_logger("resourced.daemon").warning(f"what the policy knew can't be read: {error}")
            return None

    def _describe(self) -> dict[str, Any]:
        policy = self._loaded.config.policy
        return {
            "listeners": list(self._front.listeners),
            "configuration": self._told_files(),
            "policy": {
                "profile": policy.profile,
                "mode": policy.mode.value,
                "rules": [rule.name for rule in self._manager.rules],
            },
        }

    def _told_files(self) -> str:
        return ", ".join(map(str, self._loaded.files)) or "as shipped"

    def _runtime_directory(self) -> Path | None:
        """Return where it is written down what was changed and who is registered: what a boot empties, as it must be.

        It is in memory, so that no slow disk holds up a step.
        """
        directory = runtime_directory(self._loaded.config, os.environ, os.geteuid())
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError:
            return None
        return directory


class _Keeper:
    """What follows each tick: the watchdog is fed while samples are fresh, and the policy's state is kept."""

    def __init__(self, manager: ResourceManager, history: History, notifier: Notifier, config: ResourceConfig) -> None:
        self._manager = manager
        self._history = history
        self._notifier = notifier
        self._watchdog = config.daemon.watchdog
        self._every = max(config.history.flush_interval, config.sampling.interval)
        self._saved_seconds = 0.0
        self._saved = ""
        self._told_seconds = 0.0
        self._lock = threading.Lock()
        self._slimmer = Slimmer()

    def on_state(self, state: State) -> None:
        """Called from the manager's thread after each tick."""
        now = state.snapshot.monotonic_seconds
        self._slimmer.look(now)
        fresh = any(health.usable for health in state.snapshot.collectors.values())
        status = None
        if self._notifier.active and now - self._told_seconds >= _STATUS_SECONDS:
            self._told_seconds, status = now, self.summary()
        if fresh and self._watchdog:
            self._notifier.alive(status)
        elif status:
            self._notifier.status(status)
        decided = state.judgement is not None and bool(state.judgement.decisions)
        if decided or now - self._saved_seconds >= self._every:
            self._saved_seconds = now
            self.save()

    def save(self) -> None:
        """Keep what the policy knows, if it is not what was kept last."""
        with self._lock:
            text = self._manager.judged.to_json()
            if text != self._saved:
                self._saved = text
                self._history.save_state(_JUDGED, text)

    def summary(self) -> str:
        """Return the line for `systemctl status`."""
        state = self._manager.state
        if state is None:
            return "starting"
        verdict = state.verdict
        rules = () if verdict is None else verdict.rules
        firing = [each.rule for each in rules if each.phase in (Phase.FIRING, Phase.CLEARING)]
        shown = f"rules that fire: {', '.join(firing)}" if firing else "no rule fires"
        return f"sample {state.snapshot.sequence}, {shown}"
