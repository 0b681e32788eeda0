import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from resourced import journal
from resourced.errors import ConfigError
from resourced.journal.setup import Log


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    journal.shut_down()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(text) for text in stream.getvalue().splitlines()]


def test_an_event_of_the_table_has_sentence_identity_and_priority(stream: io.StringIO) -> None:
    journal.configure(journal.LogSettings(format="auto"), stream=stream)
    journal.get_logger("there").info("collector_stale", collector="gpus", reason="overran", level="x")
    (line,) = lines(stream)
    assert line["message"] == "Collector gpus is stale: overran"
    assert line["message_id"] == journal.EVENTS["collector_stale"].message_id
    assert (line["level"], line["priority"], line["logger"], line["field_level"]) == ("warning", 4, "there", "x")
    assert "test_setup.py" in line["code"]


def test_report_takes_priority_from_the_table_and_a_missing_field_is_a_question_mark(stream: io.StringIO) -> None:
    journal.configure(journal.LogSettings(), stream=stream)
    journal.report("store_set_aside", {"path": "/x", "event": "y"})
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert line["message"] == "The history store was damaged and is kept as /x: ?"
    assert "test_setup.py" in line["code"]


def test_the_level_changes_while_running_for_libraries_too(stream: io.StringIO) -> None:
    journal.configure(journal.LogSettings(level="warning"), stream=stream)
    log, library = journal.get_logger("a"), logging.getLogger("library")
    log.info("one")
    library.info("two")
    journal.set_level("debug")
    assert journal.get_level() == "debug"
    log.debug("three")
    library.debug("four %d", 4)
    assert [line["message"] for line in lines(stream)] == ["three", "four 4"]


def test_an_unknown_level_or_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="critical, error"):
        journal.set_level("loud")
    with pytest.raises(ConfigError, match="console or json"):
        journal.configure(journal.LogSettings(format="xml"))


def test_exceptions_are_told_with_their_traceback(stream: io.StringIO) -> None:
    journal.configure(journal.LogSettings(), stream=stream)
    error = ValueError("wrong")
    journal.get_logger("a").error("given", exc_info=error)
    try:
        raise error
    except ValueError:
        journal.get_logger("a").exception("raised")
        logging.getLogger("library").exception("theirs")
    assert all("ValueError: wrong" in line["exception"] for line in lines(stream))
    assert len(lines(stream)) == 3


def test_repetition_is_limited_by_key_and_told(stream: io.StringIO) -> None:
    journal.configure(journal.LogSettings(repeat_limit=2, repeat_interval_seconds=1000), stream=stream)
    log = journal.get_logger("a")
    for _ in range(5):
        log.info("collector_stale", collector="gpus")
        log.info("decision", text="never held back")
    log.info("collector_stale", collector="disk")
    journal.shut_down()
    found = lines(stream)
    assert [line["event"] for line in found].count("collector_stale") == 3
    assert [line["event"] for line in found].count("decision") == 5
    assert found[-1]["event"] == "suppressed"
    assert found[-1]["message"].startswith("3 more like this in")
    assert found[-1]["like"] == "collector_stale gpus"


def test_suppression_ends_with_the_interval(stream: io.StringIO) -> None:
    now = [0.0]
    log = Log(
        journal.LogSettings(repeat_limit=1, repeat_interval_seconds=10),
        journal.configure(journal.LogSettings(), stream=stream).sink,
        lambda: now[0],
    )
    line = journal.Record(0.0, journal.Priority.INFO, "same", "same", "a")
    log.tell(line)
    log.tell(line)
    now[0] = 11.0
    log.tell(line)
    assert [told["event"] for told in lines(stream)] == ["same", "suppressed", "same"]


def test_a_terminal_gets_colour_and_none_of_the_control_characters(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NO_COLOR", raising=False)
        journal.configure(journal.LogSettings(), stream=terminal)
    journal.get_logger("a").warning("odd \x1b[2Jname", where="a b\nc", empty="")
    shown = terminal.getvalue()
    assert "\x1b[33mwarning" in shown
    assert "\x1b[2J" not in shown
    assert 'where="a b\\nc"' in shown


def test_a_stream_that_is_closed_loses_lines_and_says_how_many() -> None:
    stream = io.StringIO()
    journal.configure(journal.LogSettings(), stream=stream)
    stream.close()
    journal.get_logger("a").info("nobody hears")
    assert journal.lines_dropped() == 1


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "w") as stream:
        journal.configure(journal.LogSettings(format="json", repeat_limit=100_000), stream=stream)
        log = journal.get_logger("a")
        for number in range(3000):
            log.info("a line", number=number, more="x" * (number % 9000))
        lost = journal.lines_dropped()
        assert 0 < lost < 3000
        os.set_blocking(reader, False)
        told = pipe.read(1 << 20)
        log.info("somebody reads again")
        told += pipe.read(1 << 20)
        assert journal.lines_dropped() == lost
    whole = []
    for line in told.splitlines():
        with contextlib.suppress(ValueError):  # the one that was broken off
            whole.append(json.loads(line)["message"])
    assert whole[-1] == "somebody reads again"
    assert len(whole) == 3000 - lost + 1


def test_a_malformed_line_of_a_library_does_no_harm(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    journal.configure(journal.LogSettings(), stream=stream)
    malformed = logging.LogRecord("library", logging.WARNING, __file__, 1, "%d", ("not a number",), None)
    next(h for h in logging.getLogger().handlers if h.__module__.startswith("resourced")).emit(malformed)
    assert stream.getvalue() == ""
    assert "not a number" in capsys.readouterr().err


def test_structlog_comes_without_rich() -> None:
    code = "import sys, resourced.journal; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
