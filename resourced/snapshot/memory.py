"""Memory and swap: what a snapshot says of them."""

from dataclasses import dataclass


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
    """Page faults since boot (pgfault)."""
    page_faults_per_second: float | None
    """Page faults a second over the last interval."""
    major_faults: int | None
    """Page faults since boot that needed the disk (pgmajfault)."""
    major_faults_per_second: float | None
    """Page faults a second that needed the disk."""
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
