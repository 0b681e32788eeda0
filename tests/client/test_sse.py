import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from resourced.client import ServerEvent
from resourced.client.sse import EventParser

TEXT = st.text(st.characters(codec="utf-8"))
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)


@dataclass(frozen=True)
class Sent:
    kind: str
    value: Any
    id: str | None
    end: str
    comment: str
    indent: int | None

    def written(self) -> str:
        """Return the event as it is sent, raw wherever JSON allows it, on as many lines as JSON takes."""
        text = json.dumps(self.value, ensure_ascii=False, indent=self.indent)
        lines = [f": {self.comment}", "", f"event: {self.kind}"]
        lines += [] if self.id is None else [f"id: {self.id}"]
        return self.end.join([*lines, *(f"data: {line}" for line in text.split("\n")), "", ""])


SENT = st.builds(
    Sent,
    kind=LINE,
    value=VALUES,
    id=st.none() | LINE,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    comment=LINE,
    indent=st.sampled_from([None, 1]),
)


def heard(parser: EventParser, *pieces: bytes) -> list[ServerEvent]:
    return [event for piece in pieces for event in parser.feed(piece)]


@given(st.lists(SENT), st.data())
def test_events_come_out_as_they_went_in_wherever_the_stream_is_cut(sent: list[Sent], data: st.DataObject) -> None:
    stream = "".join(each.written() for each in sent).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    parser = EventParser()

    events = heard(parser, *(stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])))

    expected: list[ServerEvent] = []
    last, known = None, set()
    for each in sent:
        if each.id in known:
            continue  # it was told again
        if each.id is not None:
            last = each.id
            known.add(last)
        expected.append(ServerEvent(each.kind or "message", each.value, last))
    assert events == expected
    assert parser.last_id == last


def test_every_end_of_a_line_is_one_wherever_it_is_cut() -> None:
    for end in ("\n", "\r\n", "\r"):
        stream = f"data: 1{end}{end}data: 2{end}{end}".encode()
        pieces = [stream[n : n + 1] for n in range(len(stream))]
        assert [event.data for event in heard(EventParser(), *pieces)] == [1, 2]
    assert heard(EventParser(), b"data: 1\r", b"\r") == [ServerEvent("message", 1)]
    assert heard(EventParser(), b"data: 1\r\n\r") == [ServerEvent("message", 1)]  # nothing more needs to come


def test_what_only_unicode_takes_for_the_end_of_a_line_ends_none() -> None:
    text = json.dumps({"name": "x\x85id:9\u2028id:9\u2029id:9\x0b\x0c"}, ensure_ascii=False)
    parser = EventParser()

    assert heard(parser, f"data: {text}\n\n".encode()) == [ServerEvent("message", json.loads(text))]
    assert parser.last_id is None


def test_text_that_is_no_json_stays_text() -> None:
    assert heard(EventParser(), b"\xef\xbb\xbfdata: {\ndata: \xff\n\n") == [ServerEvent("message", "{\n\ufffd")]


def test_what_says_nothing_to_a_client_is_passed_over() -> None:
    parser = EventParser()
    assert heard(parser, b"retry: 1500\nretry: x\nid: a\0b\nunknown: 1\n\n") == []
    assert parser.last_id is None


def test_an_id_without_an_event_is_a_position() -> None:
    parser = EventParser()
    assert heard(parser, b"id: 7\n\n") == []
    assert parser.last_id == "7"


def test_what_is_told_again_is_passed_over_and_moves_nobody_back() -> None:
    parser = EventParser()
    first, second, third = (f"id: {n}\ndata: {n}\n\n".encode() for n in range(3))
    assert [event.data for event in heard(parser, first, second)] == [0, 1]
    parser.begin()

    assert heard(parser, first) == []
    assert parser.last_id == "1"
    assert heard(parser, third, b"data: 9\n\n") == [ServerEvent("message", 2, "2"), ServerEvent("message", 9, "2")]


def test_only_so_many_ids_are_remembered() -> None:
    parser = EventParser()
    told = [f"id: {n}\ndata: {n}\n\n".encode() for n in range(10_001)]
    assert len(heard(parser, *told)) == 10_001

    assert heard(parser, *told[1:]) == []
    assert [event.data for event in heard(parser, told[0])] == [0]


def test_what_was_cut_off_was_not_seen_and_does_not_mix_with_what_follows() -> None:
    for rest in (b"id: 2\nevent: decision\ndata: [1,\nda", b"data: \xe2\x80", b"data: 1\r"):
        parser = EventParser()
        assert heard(parser, b"id: 1\ndata: 1\n\n" + rest) == [ServerEvent("message", 1, "1")]
        assert parser.last_id == "1"
        parser.begin()
        assert heard(parser, b"\ndata: 3\n\n") == [ServerEvent("message", 3, "1")]
