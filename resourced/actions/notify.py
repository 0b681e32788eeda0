"""The first rung: tell those concerned. The journal and the API's streams follow from the outcome; here, terminals."""

import contextlib
import os
import stat
from pathlib import Path

from resourced.actions.base import Once, Order
from resourced.decision import Step

_MOST_TERMINALS = 64
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "?")


class Notify(Once):
    """Writes a line to the terminals of the target's owner, as wall(1) does; it never waits for one.

    Args:
        devices: Where terminals are.
    """

    step = Step.NOTIFY

    def __init__(self, devices: Path = Path("/dev")) -> None:
        self._devices = devices

    def take(self, order: Order) -> str:
        target = order.decision.target
        uid = target.uid if target is not None else None
        if uid is None or not order.terminals:
            return "told in the journal and to those who follow the API"
        told = tell_terminals(self._devices, uid, sentence(order))
        return f"told in the journal, to those who follow the API, and on {told} terminal{'' if told == 1 else 's'}"


def sentence(order: Order) -> str:
    """Return what a person reads, on one line and without control characters."""
    decision, steps = order.decision, [each for each in order.decision.steps if each is not Step.NOTIFY]
    later = f"; otherwise it will be: {', '.join(steps)}" if steps else ""
    text = f"resourced: {order.target.name} should give way now (rule {decision.rule}){later}. See: {_see(decision.id)}"
    return text.translate(_CONTROL)


def _see(identity: str) -> str:
    return f"resourcectl explain {identity}"


def tell_terminals(devices: Path, uid: int, text: str) -> int:
    """Write a line to every terminal that belongs to a user; return how many took it.

    Args:
        devices: Where terminals are: DEVICES/pts/N and DEVICES/ttyN.
        uid: Whose.
        text: One line without control characters.
    """
    told = 0
    for path in _terminals(devices, consoles=uid != 0):
        if told >= _MOST_TERMINALS:
            break
        with contextlib.suppress(OSError):
            told += _tell(path, uid, f"\r\n{text}\r\n".encode(errors="replace"))
    return told


def _terminals(devices: Path, *, consoles: bool) -> list[Path]:
    """Return terminals; a console belongs to root while nobody is logged in on it."""
    with contextlib.suppress(OSError):
        return sorted([*(devices / "pts").glob("[0-9]*"), *(devices.glob("tty[0-9]*") if consoles else ())])
    return []


def _tell(path: Path, uid: int, line: bytes) -> bool:
    if not _is_terminal_of(uid, path.lstat()):
        return False  # and is not opened: a console that nobody uses takes memory from then on
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _is_terminal_of(uid, os.fstat(descriptor)) and os.write(descriptor, line) == len(line)
    finally:
        os.close(descriptor)


def _is_terminal_of(uid: int, found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_uid == uid
