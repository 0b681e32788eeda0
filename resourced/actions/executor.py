"""The thread in which steps are taken, so that neither sampling nor the API ever waits for one."""

import os
import select
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from resourced.actions.course import Course, Settings, World
from resourced.actions.ledger import Change
from resourced.actions.machine import Machine
from resourced.decision import Decision
from resourced.errors import ActionRefused

_FAULT_SECONDS = 1.0
"""How long is waited after a fault, so that one that comes back at once does not fill the log."""

Task = Callable[[Machine], Any]


class Executor:
    """Runs the machine of courses in a thread of its own.

    Args:
        settings: How steps are taken.
        report: Called with the reason when the machine itself fails.
    """

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._report = report
        self._tasks: SimpleQueue[tuple[Task, Future[Any] | None]] = SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._busy = False
        self._shown: Mapping[str, Any] = {"courses": [], "changes": []}

    @property
    def shown(self) -> Mapping[str, Any]:
        """Return what is under way and what can be undone, as values that may be encoded; replaced whole."""
        return self._shown

    @property
    def interrupted(self) -> bool:
        """Whether something new waits."""
        return self._stopping or not self._tasks.empty()

    def start(self, world: World) -> None:
        """Put back what an earlier process left behind, then take steps as they are asked for."""
        machine = Machine(world, self._settings)
        self._thread = threading.Thread(target=self._run, args=(machine,), name="actions", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """End, with all put back that can be; return whether the thread has ended in time."""
        self._stopping = True
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def submit(self, decision: Decision) -> None:
        """Take a decision; never blocks."""
        self.post(lambda machine: machine.submit(decision))

    def post(self, task: Task) -> None:
        """Have something done by the machine's own thread; never blocks."""
        self._tasks.put((task, None))
        self.wake()

    def ask(self, task: Task) -> "Future[Any]":
        """Like `post`, with its result or its error.

        Raises:
            ActionRefused: Nothing acts any more.
        """
        if self._stopping or self._thread is None:
            raise ActionRefused("the daemon is ending")
        future: Future[Any] = Future()
        self._tasks.put((task, future))
        self.wake()
        return future

    def settle(self, settings: Settings) -> None:
        """Take steps by other settings from now on."""

        def change(machine: Machine) -> None:
            machine.settings = settings

        self._settings = settings
        self.post(change)

    def on_state(self) -> None:
        """A new sample was judged: look whether what is under way is still wanted."""
        if self._busy:
            self.wake()

    def wake(self) -> None:
        """Wake the thread; may be called from any."""
        os.eventfd_write(self._wake, 1)

    def _run(self, machine: Machine) -> None:
        wait: float | None = 0.0
        while not self._stopping:
            self._sleep(machine, wait)
            try:
                self._work(machine)
                wait = machine.advance()
            except Exception as error:  # noqa: BLE001 - whatever fails, the next decision must be able to run
                self._report(f"{type(error).__name__}: {error}")
                wait = _FAULT_SECONDS
            self._publish(machine)
        try:
            self._work(machine)
        finally:
            self._end(machine)

    def _end(self, machine: Machine) -> None:
        try:
            machine.end()
        except Exception as error:  # noqa: BLE001 - as above; what is left in the ledger is put back at the next start
            self._report(f"{type(error).__name__}: {error}")
        self._publish(machine)

    def _sleep(self, machine: Machine, wait: float | None) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        for descriptor in machine.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(None if wait is None else wait * 1000)
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def _work(self, machine: Machine) -> None:
        while True:
            try:
                task, future = self._tasks.get_nowait()
            except Empty:
                return
            if future is not None and not future.set_running_or_notify_cancel():
                continue  # whoever asked was told that it was not done
            try:
                result = task(machine)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                if future is None:
                    self._report(f"{type(error).__name__}: {error}")
                else:
                    future.set_exception(error)
            else:
                if future is not None:
                    future.set_result(result)

    def _publish(self, machine: Machine) -> None:
        changes = machine.changes
        self._busy = bool(machine.courses or changes)
        self._shown = {
            "courses": [_course(each) for each in machine.courses],
            "changes": [_change(each) for each in changes],
        }


def _course(course: Course) -> dict[str, Any]:
    return {
        "decision": course.decision.id,
        "rule": course.decision.rule,
        "instance": course.decision.instance,
        "target": course.candidate.name,
        "status": course.status.value,
        "taken": [step.value for step in course.taken],
        "steps": [rung.step.value for rung in course.rule.rungs],
        "approved_by": course.approved_by,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "decision": change.decision,
        "target": change.target,
        "step": change.step.value,
        "time": change.time,
        "expires": change.time + change.expires_seconds,
        "cgroup": change.path,
        "pid": change.pid,
        "file": change.file,
        "original": change.original,
        "written": change.written[-1] if change.written else None,
    }
