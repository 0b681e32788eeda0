"""Where the log goes and how much of it: structlog is put together here and nowhere else."""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from resourced.errors import ConfigError
from resourced.journal import events
from resourced.journal.journald import SOCKET, JournaldSink, is_journal_stream
from resourced.journal.plain import to_text
from resourced.journal.record import LEVELS, Caller, Priority, Record, Sink
from resourced.journal.repetition import Repetition
from resourced.journal.sinks import ConsoleSink, JsonSink
from resourced.journal.structured import structlog

if TYPE_CHECKING:
    from types import FrameType

_METHODS = {
    "debug": Priority.DEBUG,
    "info": Priority.INFO,
    "warning": Priority.WARNING,
    "warn": Priority.WARNING,
    "error": Priority.ERROR,
    "exception": Priority.ERROR,
    "critical": Priority.CRITICAL,
    "fatal": Priority.CRITICAL,
}
_STDLIB = {
    Priority.CRITICAL: logging.CRITICAL,
    Priority.ERROR: logging.ERROR,
    Priority.WARNING: logging.WARNING,
    Priority.NOTICE: logging.INFO,
    Priority.INFO: logging.INFO,
    Priority.DEBUG: logging.DEBUG,
}
_PASSED_OVER = ("structlog", "logging", "resourced.journal", "contextlib")
"""Modules that carry a line and did not write it."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the log is made of.

    Attributes:
        level: The least grave level that is told: critical, error, warning, notice, info or debug.
        format: auto, journald, console or json. auto is journald where systemd connected standard error to the
            journal, console on a terminal, and json otherwise.
        repeat_limit: How often the same thing is told in an interval.
        repeat_interval_seconds: Length of the interval.
        identifier: SYSLOG_IDENTIFIER.
    """

    level: str = "info"
    format: str = "auto"
    repeat_limit: int = 10
    repeat_interval_seconds: float = 60.0
    identifier: str = "resourced"


class Log:
    """The log of a process: what is told, how often, and where it goes. Safe for use by several threads.

    Args:
        settings: Level and limits.
        sink: Where lines go.
        monotonic: Tells the seconds for the limits of repetition.
    """

    def __init__(self, settings: LogSettings, sink: Sink, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.level = level_named(settings.level)
        self.sink = sink
        self._monotonic = monotonic
        self._repetition = Repetition(settings.repeat_limit, settings.repeat_interval_seconds)
        self._lock = threading.Lock()

    def tell(self, record: Record) -> None:
        """Deliver a line unless it is not grave enough or was told too often."""
        if record.priority > self.level:
            return
        event = events.EVENTS.get(record.event)
        now = self._monotonic()
        with self._lock:
            ended = self._repetition.ended(now)
            key = (record.event, record.logger, *(to_text(record.fields.get(k)) for k in (event.key if event else ())))
            told = (event is not None and not event.limited) or self._repetition.admit(key, now)
        for suppressed in ended:
            self._tell_suppressed(suppressed.key, suppressed.count, suppressed.seconds, record.time)
        if told:
            self.sink.write(record)

    def close(self) -> None:
        """Tell what was held back and let go of the destination."""
        with self._lock:
            left = self._repetition.close(self._monotonic())
        for suppressed in left:
            self._tell_suppressed(suppressed.key, suppressed.count, suppressed.seconds, time.time())
        self.sink.close()

    def _tell_suppressed(self, key: Any, count: int, seconds: float, now: float) -> None:
        fields = {"count": count, "seconds": round(seconds), "like": " ".join(key[:1] + key[2:]), "source": key[1]}
        self.sink.write(events.record("suppressed", fields, now))


class _Output:
    """What structlog takes for a logger: it hands the finished record to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def msg(self, record: Record) -> None:
        """Deliver a record."""
        self._log.tell(record)

    debug = info = warn = warning = error = exception = critical = fatal = log = failure = msg


class _StdlibHandler(logging.Handler):
    """Brings the lines of the libraries, which use the standard library's logging, into the same log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            priority = next(p for p in Priority if record.levelno >= _STDLIB[p] or p is Priority.DEBUG)
            exception = "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else None
            caller = Caller(record.pathname, record.lineno, record.funcName)
            text = record.getMessage()
            self._log.tell(
                Record(record.created, _lower(priority), text, text, record.name, caller=caller, exception=exception)
            )
        except Exception:  # noqa: BLE001 - a malformed line of a library must not stop what it was doing
            self.handleError(record)


def _lower(priority: Priority) -> Priority:
    """Return info for notice: what libraries call info is not worth a notice."""
    return Priority.INFO if priority is Priority.NOTICE else priority


class _State:
    """The log that is configured."""

    log: Log | None = None
    handler: logging.Handler | None = None


def level_named(name: str) -> Priority:
    """Return the level of this name.

    Raises:
        ConfigError: There is none; the text lists those that exist.
    """
    level = LEVELS.get(name.strip().lower())
    if level is None:
        raise ConfigError(f"{name!r} is not a log level; use one of {', '.join(LEVELS)}")
    return level


def configure(settings: LogSettings, *, stream: TextIO | None = None, sink: Sink | None = None) -> Log:
    """Send everything that is logged in this process where the settings say, from now on.

    Args:
        settings: Level, form and limits.
        stream: Where console and JSON lines go; standard error if not given.
        sink: A destination that replaces the one that the settings name.

    Raises:
        ConfigError: Level or format has no such value.
    """
    log = Log(settings, sink or _make_sink(settings, stream or sys.stderr))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _finish],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda *_: _Output(log),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if _State.handler:
        root.removeHandler(_State.handler)
    if _State.log:
        _State.log.close()
    _State.log, _State.handler = log, _StdlibHandler(log)
    root.addHandler(_State.handler)
    root.setLevel(_STDLIB[log.level])
    logging.captureWarnings(capture=True)
    return log


def shut_down() -> None:
    """Tell what was held back and take the log out of the process."""
    if _State.handler:
        logging.getLogger().removeHandler(_State.handler)
        logging.captureWarnings(capture=False)
    if _State.log:
        _State.log.close()
    _State.log = _State.handler = None
    structlog.reset_defaults()


def set_level(name: str) -> None:
    """Change the level while running.

    Raises:
        ConfigError: There is no such level.
    """
    level = level_named(name)
    if _State.log:
        _State.log.level = level
        logging.getLogger().setLevel(_STDLIB[level])


def get_level() -> str | None:
    """Return the name of the present level, or None if nothing is configured."""
    return _State.log.level.level if _State.log else None


def lines_dropped() -> int:
    """Return how many lines could not be delivered since the start."""
    return getattr(_State.log.sink, "dropped", 0) if _State.log else 0


def get_logger(name: str) -> Any:
    """Return a logger: `log.info("collector_stale", collector="gpus", reason="…")`.

    The first argument is the name of an event of the table, whose sentence, identity and priority are used, or else a
    sentence of one's own. It may be made before `configure`.
    """
    return structlog.get_logger(_logger=name)


def report(event: str, fields: Mapping[str, Any]) -> None:
    """Tell an event with the fields given; its priority is the table's, info for others."""
    get_logger("resourced").info(event, **{key: value for key, value in fields.items() if key != "event"})


def _make_sink(settings: LogSettings, stream: TextIO) -> Sink:
    form = settings.format
    if form == "auto":
        if is_journal_stream(stream, os.environ.get("JOURNAL_STREAM")) and SOCKET.exists():
            form = "journald"
        else:
            form = "console" if stream.isatty() else "json"
    match form:
        case "journald":
            return JournaldSink(settings.identifier)
        case "console":
            return ConsoleSink(stream, colour=stream.isatty() and not os.environ.get("NO_COLOR"))
        case "json":
            return JsonSink(stream)
    raise ConfigError(f"{form!r} is not a form of the log; use auto, journald, console or json")


def _finish(_logger: Any, method: str, given: MutableMapping[str, Any]) -> tuple[tuple[Record], dict[str, Any]]:
    """Make the record: the last of structlog's processors."""
    name = to_text(given.pop("event", "")) or "(nothing)"
    logger = given.pop("_logger", "resourced")
    exception = _format_exception(given.pop("exc_info", None))
    event = events.EVENTS.get(name)
    record = Record(
        time=time.time(),
        priority=event.priority if event else _METHODS.get(method, Priority.INFO),
        event=name,
        message=event.message(given) if event else name,
        logger=logger,
        message_id=event.message_id if event else None,
        fields=dict(given),
        caller=_find_caller(),
        exception=exception,
    )
    return (record,), {}


def _format_exception(info: Any) -> str | None:
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if not isinstance(info, tuple) or info[0] is None:
        return None
    return "".join(traceback.format_exception(*info)).rstrip()


def _find_caller() -> Caller | None:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads source files for the same answer
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(_PASSED_OVER):
            return Caller(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return None
