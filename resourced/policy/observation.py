"""What the policy looks at: one tick, with everything that it may ask for already gathered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from resourced.metrics import parse_selector
from resourced.series import Series
from resourced.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Preference:
    """What a cgroup's owner asked for by systemd-oomd's extended attributes."""

    kind: str
    """omit (never) or avoid (last)."""
    owner_uid: int
    """Owner of the cgroup's directory."""
    ancestor_uid: int = 0
    """Owner of the monitored ancestor, usually the root of the tree."""

    @property
    def honoured(self) -> bool:
        """Whether it counts: a user may rank what is its own, and may not escape the system's policy."""
        return self.owner_uid in (0, self.ancestor_uid)


@dataclass(frozen=True, slots=True)
class Myself:
    """Who resourced is, so that it never prunes itself."""

    pid: int
    """Own process id."""
    ancestors: frozenset[int] = frozenset()
    """Process ids of the parents up to PID 1."""
    cgroup: str | None = None
    """Own cgroup path."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that asked to be told before it is pruned."""

    id: str
    """Its lease."""
    name: str
    """What a person calls it."""
    pid: int | None = None
    """Its process."""
    cgroup: str | None = None
    """Its cgroup, if it stands for all of it."""
    uid: int | None = None
    """Who registered it."""
    priority: float = 0.0
    """Higher is more important."""
    start_time_ticks: int | None = None
    """Start of its process, clock ticks after boot; None to take whoever has the number."""


_NOBODY: Mapping[str, Preference] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment, as the policy sees it."""

    time: float
    """Wall time, seconds since the epoch."""
    monotonic_seconds: float
    """The same moment on CLOCK_MONOTONIC."""
    sequence: int
    """Number of the sample."""
    layout: tuple[Series, ...]
    """What each value is; the same object as long as nothing appears or vanishes."""
    values: Sequence[float | None]
    """One a series of the layout; None if missing or stale."""
    source: Snapshot | Callable[[], Snapshot] | None = None
    """Where candidates come from, or what makes it when a decision needs it: putting a recorded one together costs more
    than judging a hundred ticks. None when only the numbers are known."""
    preferences: Mapping[str, Preference] = field(default_factory=lambda: _NOBODY)
    """Keyed by cgroup path."""
    myself: Myself | None = None
    """Who resourced is."""
    workloads: tuple[Workload, ...] = ()
    """Registered workloads."""
    boot_id: str | None = None
    """The boot to which the monotonic time belongs; None if unknown."""

    @property
    def snapshot(self) -> Snapshot | None:
        """Return the machine at this moment, with everyone on it."""
        return self.source() if callable(self.source) else self.source

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        values: Mapping[str, float | None] | tuple[tuple[Series, ...], Sequence[float | None]],
        *,
        preferences: Mapping[str, Preference] = _NOBODY,
        myself: Myself | None = None,
        workloads: tuple[Workload, ...] = (),
    ) -> "Tick":
        """Return the tick of a snapshot.

        Args:
            snapshot: The machine.
            values: A layout with its values, as series.Extractor gives them, or values by series name.
            preferences: What owners of cgroups asked for, by path.
            myself: Who resourced is.
            workloads: Registered workloads.
        """
        layout, row = layout_of(values) if isinstance(values, Mapping) else values
        return cls(
            snapshot.time,
            snapshot.monotonic_seconds,
            snapshot.sequence,
            layout,
            row,
            snapshot,
            preferences,
            myself,
            workloads,
            snapshot.boot_id,
        )


def layout_of(values: Mapping[str, float | None]) -> tuple[tuple[Series, ...], list[float | None]]:
    """Return layout and row of values that are keyed by series name; the layout of equal names is one object."""
    names = tuple(values)
    layout = _LAYOUTS.get(names)
    if layout is None:
        if len(_LAYOUTS) >= _LAYOUTS_KEPT:
            _LAYOUTS.clear()
        layout = _LAYOUTS[names] = tuple(series_of(name) for name in names)
    return layout, list(values.values())


def series_of(name: str) -> Series:
    """Return the series that a name such as `memory.available` or `hw.gpu.power{hw.id="GPU-1"}` means."""
    selector = parse_selector(name)
    return Series(selector.name, selector.labels)


_LAYOUTS: dict[tuple[str, ...], tuple[Series, ...]] = {}
_LAYOUTS_KEPT = 8
