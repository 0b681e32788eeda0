"""Metrics of processors, memory, pressure and sensors."""

from resourced.metrics.model import Field, Metric, counter, fields, gauge

_STAT, _MEMINFO, _VMSTAT = "/proc/stat", "/proc/meminfo", "/proc/vmstat"
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_PRESSURE = ("cpu", "memory", "io")


def _pressure(some_or_full: str, value: str) -> tuple[Field, ...]:
    return fields("resource", {of: f"pressure.{of}.{some_or_full}.{value}" for of in _PRESSURE})


def _pressure_aliases(some_or_full: str, value: str) -> tuple[str, ...]:
    return tuple(f"pressure.{of}.{some_or_full}.{value}" for of in _PRESSURE)


_CPU: tuple[Metric, ...] = (
    gauge(
        "system.cpu.utilization",
        "1",
        "cpu.utilization",
        "Share of the interval in which all processors together were neither idle nor waiting for I/O.",
        _STAT,
        maximum=1.0,
        alias=("cpu.utilization",),
    ),
    counter(
        "system.cpu.time",
        "s",
        fields("cpu.mode", {mode: f"cpu.mode_seconds[{mode}]" for mode in _MODES}),
        "Processor seconds since boot by mode, over all processors.",
        _STAT,
    ),
    gauge(
        "resourced.cpu.core.utilization",
        "1",
        "cpu.cores.*.utilization",
        "Share of the interval in which a logical processor was neither idle nor waiting for I/O.",
        _STAT,
        label="cpu.logical_number",
        maximum=1.0,
        alias=("cpu.core.utilization",),
    ),
    gauge(
        "system.cpu.frequency",
        "Hz",
        "cpu.cores.*.frequency_hertz",
        "Present frequency of a logical processor.",
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
        label="cpu.logical_number",
        alias=("cpu.frequency",),
    ),
    gauge("system.cpu.logical.count", "{cpu}", "cpu.logical_count", "Logical processors that are online.", _STAT),
    gauge("system.cpu.physical.count", "{cpu}", "cpu.physical_count", "Physical cores.", "/proc/cpuinfo"),
    gauge(
        "resourced.cpu.load",
        "{task}",
        fields("window", {"1m": "cpu.load_1m", "5m": "cpu.load_5m", "15m": "cpu.load_15m"}),
        "Load average: tasks running, runnable or in uninterruptible sleep.",
        "/proc/loadavg",
        alias=("cpu.load_1m", "cpu.load_5m", "cpu.load_15m"),
    ),
    gauge(
        "resourced.cpu.tasks",
        "{task}",
        fields("state", {"running": "cpu.tasks_running", "blocked": "cpu.tasks_blocked"}),
        "Tasks that are runnable, or blocked on I/O.",
        _STAT,
        alias=("cpu.tasks_running", "cpu.tasks_blocked"),
    ),
    counter(
        "resourced.cpu.context_switches",
        "{switch}",
        "cpu.context_switches",
        "Context switches since boot.",
        _STAT,
        alias=("cpu.context_switches",),
    ),
    counter("resourced.cpu.interrupts", "{interrupt}", "cpu.interrupts", "Interrupts serviced since boot.", _STAT),
    counter(
        "system.process.created",
        "{process}",
        "cpu.forks",
        "Processes and threads created since boot.",
        _STAT,
        alias=("cpu.forks",),
    ),
)

_MEMORY: tuple[Metric, ...] = (
    gauge(
        "system.memory.limit", "By", "memory.total_bytes", "Memory of the machine.", _MEMINFO, alias=("memory.total",)
    ),
    gauge(
        "system.memory.linux.available",
        "By",
        "memory.available_bytes",
        "Memory that new programs can take without swapping, by the kernel's estimate.",
        _MEMINFO,
        alias=("memory.available",),
    ),
    gauge(
        "system.memory.utilization",
        "1",
        "memory.utilization",
        "Share of memory that is not available.",
        _MEMINFO,
        maximum=1.0,
        alias=("memory.utilization",),
    ),
    gauge(
        "system.memory.usage",
        "By",
        fields(
            "system.memory.state",
            {
                "used": "memory.used_bytes",
                "free": "memory.free_bytes",
                "buffers": "memory.buffers_bytes",
                "cached": "memory.cached_bytes",
            },
        ),
        "Memory by state; used is what is not available.",
        _MEMINFO,
        alias=("memory.used", "memory.free", "memory.buffers", "memory.cached"),
    ),
    gauge(
        "resourced.memory.kind",
        "By",
        fields(
            "kind",
            {
                "anonymous": "memory.anonymous_bytes",
                "shmem": "memory.shmem_bytes",
                "mlocked": "memory.mlocked_bytes",
                "page_tables": "memory.page_tables_bytes",
                "kernel_stack": "memory.kernel_stack_bytes",
                "dirty": "memory.dirty_bytes",
                "writeback": "memory.writeback_bytes",
                "committed": "memory.committed_bytes",
                "zfs_arc_reclaimable": "memory.zfs_arc_reclaimable_bytes",
            },
        ),
        "Memory by what it is for; kinds overlap.",
        _MEMINFO,
        alias=(
            "memory.anonymous",
            "memory.shmem",
            "memory.mlocked",
            "memory.page_tables",
            "memory.kernel_stack",
            "memory.dirty",
            "memory.writeback",
            "memory.committed",
            "memory.zfs_arc_reclaimable",
        ),
    ),
    gauge(
        "system.memory.linux.slab.usage",
        "By",
        fields(
            "system.memory.linux.slab.state",
            {"reclaimable": "memory.slab_reclaimable_bytes", "unreclaimable": "memory.slab_unreclaimable_bytes"},
        ),
        "Memory of the kernel's own objects.",
        _MEMINFO,
        alias=("memory.slab_reclaimable", "memory.slab_unreclaimable"),
    ),
    gauge("system.memory.linux.hugepages.limit", "{page}", "memory.hugepages_total", "Huge pages set aside.", _MEMINFO),
    gauge("resourced.memory.hugepages.free", "{page}", "memory.hugepages_free", "Huge pages not in use.", _MEMINFO),
    gauge("resourced.swap.limit", "By", "memory.swap_total_bytes", "Swap space.", _MEMINFO, alias=("swap.total",)),
    gauge(
        "system.paging.usage",
        "By",
        fields(
            "system.paging.state",
            {
                "used": "memory.swap_used_bytes",
                "free": "memory.swap_free_bytes",
                "cached": "memory.swap_cached_bytes",
            },
        ),
        "Swap space by state.",
        _MEMINFO,
        alias=("swap.used", "swap.free", "swap.cached"),
    ),
    gauge(
        "system.paging.utilization",
        "1",
        "memory.swap_utilization",
        "Share of swap space in use.",
        _MEMINFO,
        maximum=1.0,
        alias=("swap.utilization",),
    ),
    counter(
        "resourced.swap.io",
        "By",
        fields(
            "system.paging.direction",
            {"in": "memory.swap_in_bytes", "out": "memory.swap_out_bytes"},
        ),
        "Bytes read from and written to swap since boot.",
        _VMSTAT,
        alias=("swap.in", "swap.out"),
    ),
    counter(
        "system.paging.faults",
        "{fault}",
        fields("system.paging.type", {"minor": "memory.minor_faults", "major": "memory.major_faults"}),
        "Page faults since boot by type; major ones needed the disk.",
        _VMSTAT,
        alias=("memory.minor_faults", "memory.major_faults"),
    ),
    counter(
        "resourced.memory.page_faults",
        "{fault}",
        "memory.page_faults",
        "Page faults of both types since boot.",
        _VMSTAT,
        alias=("memory.page_faults",),
        exposed=False,
    ),
    counter(
        "resourced.memory.reclaim.scanned",
        "{page}",
        "memory.reclaim_scanned_pages",
        "Pages scanned by reclaim since boot.",
        _VMSTAT,
        alias=("memory.reclaim_scanned",),
    ),
    gauge(
        "resourced.memory.reclaim.scan_rate",
        "{page}/s",
        "memory.reclaim_scanned_pages_per_second",
        "Pages a second scanned by reclaim.",
        _VMSTAT,
        alias=("memory.reclaim_rate",),
        exposed=False,
    ),
    counter(
        "resourced.memory.oom_kills",
        "{kill}",
        "memory.oom_kills",
        "Processes killed by the kernel for want of memory since boot.",
        _VMSTAT,
        alias=("memory.oom_kills",),
    ),
    gauge(
        "resourced.zram.usage",
        "By",
        fields(
            "state",
            {
                "original": "memory.zram.original_bytes",
                "compressed": "memory.zram.compressed_bytes",
                "used": "memory.zram.used_bytes",
            },
        ),
        "Data in zram devices before and after compression, and the memory that it takes.",
        "/sys/block/zram*/mm_stat",
        alias=("zram.original", "zram.compressed", "zram.used"),
    ),
)

_PRESSURES: tuple[Metric, ...] = (
    counter(
        "resourced.pressure.waiting",
        "s",
        _pressure("some", "total_seconds"),
        "Seconds since boot in which at least one task waited for the resource.",
        "/proc/pressure",
        alias=_pressure_aliases("some", "total"),
    ),
    counter(
        "resourced.pressure.stalled",
        "s",
        _pressure("full", "total_seconds"),
        "Seconds since boot in which all tasks that were not idle waited for the resource at once.",
        "/proc/pressure",
        alias=_pressure_aliases("full", "total"),
    ),
    *(
        gauge(
            f"resourced.pressure.{name}.{window}",
            "1",
            _pressure(line, value),
            f"Share of {over} in which {who} waited for the resource.",
            "/proc/pressure",
            maximum=1.0,
            alias=_pressure_aliases(line, window),
            stored=window in ("avg10", "share"),
            exposed=window == "avg10",
        )
        for line, name, who in (
            ("some", "waiting", "at least one task"),
            ("full", "stalled", "every task that was not idle"),
        )
        for window, value, over in (
            ("share", "share", "the last interval"),
            ("avg10", "avg10_share", "the last 10 seconds"),
            ("avg60", "avg60_share", "the last 60 seconds"),
            ("avg300", "avg300_share", "the last 300 seconds"),
        )
    ),
)

_SENSORS: tuple[Metric, ...] = (
    gauge(
        "hw.host.temperature",
        "Cel",
        "sensors.temperatures.*.celsius",
        "Temperature of a part of the machine.",
        "/sys/class/hwmon",
        label="hw.id",
        signed=True,
        alias=("sensors.temperature",),
    ),
    gauge(
        "hw.fan.speed",
        "{revolution}/min",
        "sensors.fans_rpm.*",
        "Revolutions a minute of a fan.",
        "/sys/class/hwmon",
        label="hw.id",
        alias=("sensors.fan",),
    ),
    gauge(
        "hw.battery.charge",
        "1",
        "sensors.battery.charge_share",
        "How full the battery is.",
        "/sys/class/power_supply",
        maximum=1.0,
        alias=("sensors.battery",),
    ),
)

_PROCESSES: tuple[Metric, ...] = (
    gauge(
        "resourced.processes.count",
        "{process}",
        "processes.states.*",
        "Processes by state letter, kernel threads left out.",
        "/proc/PID/stat",
        label="process.state",
        alias=("processes.count",),
    ),
    gauge(
        "resourced.processes.threads",
        "{thread}",
        "processes.threads",
        "Threads of all processes.",
        "/proc/PID/stat",
        alias=("processes.threads",),
    ),
    gauge(
        "resourced.processes.free",
        "{task}",
        "processes.tasks_free",
        "Processes and threads that may still be made before the smaller of pid_max and threads-max is reached.",
        "/proc/sys/kernel/pid_max, /proc/sys/kernel/threads-max",
        alias=("processes.free",),
    ),
    gauge(
        "resourced.user.memory",
        "By",
        "processes.users.*.memory_bytes",
        "Resident memory of all processes of a person; pages that several share are counted for each.",
        "/proc/PID/stat",
        label="user.id",
        alias=("user.memory",),
    ),
    gauge(
        "resourced.user.cpu.utilization",
        "{cpu}",
        "processes.users.*.cpu_utilization",
        "Processors used by all processes of a person over the interval.",
        "/proc/PID/stat",
        label="user.id",
        alias=("user.cpu",),
    ),
    gauge(
        "resourced.user.processes",
        "{process}",
        "processes.users.*.processes",
        "Processes of a person.",
        "/proc/PID/stat",
        label="user.id",
        alias=("user.processes",),
    ),
)

HOST: tuple[Metric, ...] = _CPU + _MEMORY + _PRESSURES + _SENSORS + _PROCESSES
