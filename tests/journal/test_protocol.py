from hypothesis import given
from hypothesis import strategies as st

from resourced.journal.protocol import encode, field_name, fields_of
from resourced.journal.record import Caller, Priority, Record
from tests.journal.fakes import decode

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)


@given(st.lists(st.tuples(names, st.text())))
def test_what_is_encoded_is_read_back(fields: list[tuple[str, str]]) -> None:
    assert decode(encode(fields)) == [(n, v.encode("utf-8", "backslashreplace")) for n, v in fields]


@given(st.text(max_size=200))
def test_field_names_are_what_journald_accepts(name: str) -> None:
    found = field_name(name)
    assert len(found) <= 64
    assert found.isascii()
    assert set(found) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def test_a_line_carries_its_identity_its_place_and_its_object() -> None:
    record = Record(
        1.0,
        Priority.WARNING,
        "decision",
        "text",
        "x",
        "ab" * 16,
        {"pid": 7, "unit": "a.service", "gone": None, "terms": {"a": 1.5}},
        Caller("f.py", 3, "g"),
        "Traceback",
    )
    found = dict(fields_of(record, "resourced"))
    assert found == {
        "MESSAGE": "text\nTraceback",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "resourced",
        "RESOURCED_EVENT": "decision",
        "RESOURCED_LOGGER": "x",
        "MESSAGE_ID": "ab" * 16,
        "CODE_FILE": "f.py",
        "CODE_LINE": "3",
        "CODE_FUNC": "g",
        "RESOURCED_PID": "7",
        "OBJECT_PID": "7",
        "RESOURCED_UNIT": "a.service",
        "OBJECT_SYSTEMD_UNIT": "a.service",
        "RESOURCED_TERMS": '{"a":1.5}',
    }
