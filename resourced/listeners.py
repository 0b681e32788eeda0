"""Who wants to hear of something: callbacks that come and go while others are being called."""

from collections.abc import Callable
from typing import Any


class Listeners:
    """Callbacks, replaced whole with each that comes or goes, so that whoever calls them needs no lock."""

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[Any], None], ...] = ()

    def add(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back from now on; returns what ends it."""
        self._callbacks = (*self._callbacks, callback)

        def end() -> None:
            self._callbacks = tuple(each for each in self._callbacks if each is not callback)

        return end

    def tell(self, item: Any) -> None:
        """Call all of them, in the order in which they came."""
        for callback in self._callbacks:
            callback(item)
