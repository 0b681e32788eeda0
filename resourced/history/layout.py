"""A fixed order of series, shared by all ticks that have it."""

from collections.abc import Iterable

from resourced.series import Series


class Layout:
    """Which series the values of a tick belong to.

    Attributes:
        series: The series, in the order of the values.
    """

    __slots__ = ("_index", "series")

    def __init__(self, series: Iterable[Series]) -> None:
        self.series: tuple[Series, ...] = tuple(series)
        self._index: dict[Series, int] | None = None

    def __len__(self) -> int:
        return len(self.series)

    def position(self, series: Series) -> int | None:
        """Return the position of a series, or None if it isn't in this layout."""
        if self._index is None:
            self._index = {each: n for n, each in enumerate(self.series)}
        return self._index.get(series)
