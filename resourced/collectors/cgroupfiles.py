"""Parsers of the files of a cgroup v2 directory, see the kernel's admin-guide/cgroup-v2."""

from collections.abc import Callable

from resourced.errors import ParseError


def parse_number(raw: bytes, source: str) -> int | None:
    """Return the whole number in a file such as memory.current or memory.max; None for "max", that is no limit.

    Raises:
        ParseError: It holds something else.
    """
    text = raw.strip()
    if text == b"max":
        return None
    try:
        return int(text)
    except ValueError:
        raise ParseError(source, raw.decode(errors="replace"), "a whole number or max") from None


def parse_flat(raw: bytes, source: str, keys: frozenset[bytes] | None = None) -> dict[str, int]:
    """Return the numbers of a file with lines `key number`, such as cpu.stat, memory.stat or memory.events.

    Args:
        raw: The file.
        source: Its path.
        keys: The keys wanted; None for all.

    Raises:
        ParseError: A wanted line has another form.
    """
    found: dict[str, int] = {}
    for line in raw.splitlines():
        key, _, value = line.partition(b" ")
        if keys is not None and key not in keys:
            continue
        try:
            found[key.decode("ascii")] = int(value)
        except ValueError:
            raise ParseError(source, line.decode(errors="replace"), "a key and a whole number") from None
    return found


def parse_io_stat(raw: bytes, source: str, counts: Callable[[bytes], bool] = lambda _: True) -> tuple[int, int]:
    """Return the bytes read and written over the devices of io.stat.

    Args:
        raw: The file.
        source: Its path.
        counts: Tells of a device's number whether it is counted; by default all are.

    Raises:
        ParseError: A line has another form.
    """
    read = written = 0
    for line in raw.splitlines():
        number, *words = line.split() or [b""]
        if not words or not counts(number):
            continue
        for field in words:
            key, equals, value = field.partition(b"=")
            if not equals:
                continue
            try:
                if key == b"rbytes":
                    read += int(value)
                elif key == b"wbytes":
                    written += int(value)
            except ValueError:
                raise ParseError(source, line.decode(errors="replace"), "rbytes= and wbytes= with numbers") from None
    return read, written


def parse_cpu_max(raw: bytes, source: str) -> float | None:
    """Return cpu.max in processors, or None for no limit.

    Raises:
        ParseError: It isn't a quota and a period in microseconds.
    """
    quota, _, period = raw.strip().partition(b" ")
    if quota == b"max":
        return None
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        raise ParseError(source, raw.decode(errors="replace"), "a quota and a period, or max and a period") from None
