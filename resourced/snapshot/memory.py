"""Memory and swap: what a snapshot says of them."""

from dataclasses import dataclass
from typing import Any

from resourced.collectors.base import Taken
from resourced.collectors.memory import SCANNED, ArcSample, MemorySample, ZramSample
from resourced.quantities import rate, share


@dataclass(frozen=True, slots=True)
class Zram:
    """All zram devices together, from /sys/block/zram*/mm_stat."""

    original_bytes: int
    """Uncompressed size of the data stored."""
    compressed_bytes: int
    """Compressed size of the data stored."""
    used_bytes: int
    """Memory taken, with fragmentation and metadata."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory and swap, from /proc/meminfo, /proc/vmstat, zram and the ZFS ARC."""

    total_bytes: int
    """MemTotal."""
    available_bytes: int | None
    """MemAvailable: what new programs can take without swapping, by the kernel's own estimate."""
    used_bytes: int | None
    """MemTotal minus MemAvailable, as free(1) of procps 4 counts it."""
    utilization: float | None
    """Share of memory that is not available, 0-1."""
    free_bytes: int | None
    """MemFree: not used for anything."""
    buffers_bytes: int | None
    """Buffers."""
    cached_bytes: int | None
    """Cached: page cache with shared memory."""
    shmem_bytes: int | None
    """Shmem: tmpfs and shared memory; counted in cached, but can't be dropped."""
    anonymous_bytes: int | None
    """AnonPages: memory of programs that only swap can take."""
    slab_reclaimable_bytes: int | None
    """SReclaimable."""
    slab_unreclaimable_bytes: int | None
    """SUnreclaim."""
    page_tables_bytes: int | None
    """PageTables."""
    kernel_stack_bytes: int | None
    """KernelStack."""
    mlocked_bytes: int | None
    """Mlocked."""
    dirty_bytes: int | None
    """Dirty: waits to be written to disk."""
    writeback_bytes: int | None
    """Writeback: is being written to disk."""
    committed_bytes: int | None
    """Committed_AS: memory promised to programs."""
    commit_limit_bytes: int | None
    """CommitLimit: what may be promised under strict overcommit."""
    hugepages_total: int | None
    """HugePages_Total, in pages."""
    hugepages_free: int | None
    """HugePages_Free, in pages."""
    hugepage_size_bytes: int | None
    """Hugepagesize."""
    zfs_arc_reclaimable_bytes: int | None
    """What the ZFS ARC could give back (size minus c_min), which MemAvailable does not count; null without ZFS."""
    swap_total_bytes: int | None
    """SwapTotal."""
    swap_free_bytes: int | None
    """SwapFree."""
    swap_used_bytes: int | None
    """SwapTotal minus SwapFree."""
    swap_utilization: float | None
    """Share of swap that is used, 0-1; null without swap."""
    swap_cached_bytes: int | None
    """SwapCached: on swap and in memory at once."""
    zram: Zram | None
    """Compressed memory devices; null where there are none."""
    page_faults: int | None
    """Page faults of both kinds since boot (pgfault)."""
    page_faults_per_second: float | None
    """Page faults a second over the last interval."""
    major_faults: int | None
    """Page faults since boot that needed the disk (pgmajfault)."""
    major_faults_per_second: float | None
    """Page faults a second that needed the disk."""
    minor_faults: int | None
    """Page faults since boot that did not need the disk (pgfault without pgmajfault)."""
    swap_in_bytes: int | None
    """Bytes read from swap since boot (pswpin)."""
    swap_in_bytes_per_second: float | None
    """Bytes a second read from swap."""
    swap_out_bytes: int | None
    """Bytes written to swap since boot (pswpout)."""
    swap_out_bytes_per_second: float | None
    """Bytes a second written to swap."""
    reclaim_scanned_pages: int | None
    """Pages scanned by reclaim since boot (pgscan_kswapd, pgscan_direct, pgscan_khugepaged, pgscan_proactive)."""
    reclaim_scanned_pages_per_second: float | None
    """Pages a second scanned by reclaim: memory is being looked for."""
    oom_kills: int | None
    """Processes killed by the kernel for want of memory since boot (oom_kill)."""


def derive_memory(before: Taken[MemorySample] | None, now: Taken[MemorySample], previous: Memory | None) -> Memory:
    """Return the memory section; rates are null at the first sample and after a counter's reset.

    Impossible values are passed on as the kernel tells them (more available than there is, as in some containers);
    what would be computed from them is null.
    """
    info, total = now.sample.meminfo, now.sample.meminfo["MemTotal"]
    available, swap_total, swap_free = info.get("MemAvailable"), info.get("SwapTotal"), info.get("SwapFree")
    used, swap_used = _used(total, available), _used(swap_total, swap_free)
    return Memory(
        total_bytes=total,
        available_bytes=available,
        used_bytes=used,
        utilization=share(used, total),
        free_bytes=info.get("MemFree"),
        buffers_bytes=info.get("Buffers"),
        cached_bytes=info.get("Cached"),
        shmem_bytes=info.get("Shmem"),
        anonymous_bytes=info.get("AnonPages"),
        slab_reclaimable_bytes=info.get("SReclaimable"),
        slab_unreclaimable_bytes=info.get("SUnreclaim"),
        page_tables_bytes=info.get("PageTables"),
        kernel_stack_bytes=info.get("KernelStack"),
        mlocked_bytes=info.get("Mlocked"),
        dirty_bytes=info.get("Dirty"),
        writeback_bytes=info.get("Writeback"),
        committed_bytes=info.get("Committed_AS"),
        commit_limit_bytes=info.get("CommitLimit"),
        hugepages_total=info.get("HugePages_Total"),
        hugepages_free=info.get("HugePages_Free"),
        hugepage_size_bytes=info.get("Hugepagesize"),
        zfs_arc_reclaimable_bytes=_reclaimable(now.sample.arc),
        swap_total_bytes=swap_total,
        swap_free_bytes=swap_free,
        swap_used_bytes=swap_used,
        swap_utilization=share(swap_used, swap_total),
        swap_cached_bytes=info.get("SwapCached"),
        zram=_zram(now.sample.zram),
        minor_faults=_minor_faults(now.sample.vmstat, previous),
        **_counters(before, now),
    )


def _used(total: int | None, free: int | None) -> int | None:
    return total - free if total is not None and free is not None and 0 <= free <= total else None


def _minor_faults(vmstat: dict[str, int], previous: Memory | None) -> int | None:
    """Return the page faults that were no major ones.

    One that is under way may turn out to be major, and would be taken off again; a counter doesn't go back for that.
    """
    faults = vmstat.get("pgfault")
    minor = _used(faults, vmstat.get("pgmajfault"))
    if minor is None or previous is None or previous.minor_faults is None or previous.page_faults is None:
        return minor
    return max(minor, previous.minor_faults) if faults is not None and faults >= previous.page_faults else minor


def _reclaimable(arc: ArcSample | None) -> int | None:
    return max(0, arc.size_bytes - arc.minimum_bytes) if arc else None


def _zram(devices: tuple[ZramSample, ...]) -> Zram | None:
    if not devices:
        return None
    return Zram(
        original_bytes=sum(device.original_bytes for device in devices),
        compressed_bytes=sum(device.compressed_bytes for device in devices),
        used_bytes=sum(device.used_bytes for device in devices),
    )


def _counters(before: Taken[MemorySample] | None, now: Taken[MemorySample]) -> dict[str, Any]:
    """Return the fields that come from /proc/vmstat, each counter with its rate."""
    elapsed_s, page = now.seconds_since(before), now.sample.page_size_bytes
    old, new = before.sample.vmstat if before else {}, now.sample.vmstat
    fields: dict[str, Any] = {"oom_kills": new.get("oom_kill")}
    for field, names, factor in (
        ("page_faults", ("pgfault",), 1),
        ("major_faults", ("pgmajfault",), 1),
        ("swap_in_bytes", ("pswpin",), page),
        ("swap_out_bytes", ("pswpout",), page),
        ("reclaim_scanned_pages", SCANNED, 1),
    ):
        earlier, later = _sum(old, names, factor), _sum(new, names, factor)
        fields[field] = later
        fields[f"{field}_per_second"] = rate(earlier, later, elapsed_s)
    return fields


def _sum(counters: dict[str, int], names: tuple[str, ...], factor: int) -> int | None:
    present = [counters[name] for name in names if name in counters]
    return sum(present) * factor if present else None
