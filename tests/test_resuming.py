"""A stream of events is resumed from what was recorded, also by another process after a kill."""

import signal
from pathlib import Path

from tests.running import Daemon, running, settings

RULES = "".join(
    f"""
[[rule]]
name = "{name}"
level = "warn"
metric = "memory.used"
above = "0B"
"""
    for name in ("first", "second")
)


def events(daemon: Daemon, count: int, path: str, last: str | None = None) -> dict[str, str]:
    """Return the data of so many decisions by id, in the order in which they come."""
    found: dict[str, str] = {}
    fields: dict[str, str] = {}
    headers = {"last-event-id": last} if last is not None else {}
    with daemon.unix() as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if fields.get("event") == "decision":
                found[fields["id"]] = fields["data"]
            fields = {}
            if len(found) == count:
                break
    return found


def beginning(daemon: Daemon) -> str:
    """Return with which id a stream begins."""
    with daemon.unix() as client, client.stream("GET", "/events?kind=decision") as answer:
        return next(line.removeprefix("id: ") for line in answer.iter_lines() if line.startswith("id: "))


def test_who_heard_of_nothing_yet_misses_nothing(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, '[policy]\nprofile = "none"\n')) as daemon:
        last = beginning(daemon)
        daemon.end(signal.SIGKILL)

    with running(tmp_path, text=settings(tmp_path, '[policy]\nprofile = "none"\n' + RULES)) as daemon:
        both = events(daemon, 2, "/events?kind=decision&since=1h")  # they are over by now
        assert events(daemon, 2, "/events?kind=decision", last=last) == both


def test_what_happened_while_nobody_read_comes_from_the_store(tmp_path: Path) -> None:
    text = settings(tmp_path, '[policy]\nprofile = "none"\n' + RULES)
    with running(tmp_path, text=text) as daemon:
        both = events(daemon, 2, "/events?kind=decision&since=1h")
        daemon.end(signal.SIGKILL)

    with running(tmp_path, text=text) as daemon:
        first, second = both
        assert list(events(daemon, 1, "/events?kind=decision", last=first)) == [second]
        assert events(daemon, 2, "/events?kind=decision&since=1h") == both
