"""Who may not be pruned, and who goes last. Each answer is a sentence that reaches the decision."""

from functools import lru_cache

from resourced.decision import Scope
from resourced.policy.candidates import Thing, ancestors
from resourced.policy.observation import Preference, Tick
from resourced.policy.rule import Rule, Selector, any_of
from resourced.snapshot.processes import FIRST_PERSON_UID, Process

ESSENTIAL_PROCESSES: tuple[str, ...] = (
    "systemd",
    "systemd-*",
    "(sd-pam)",
    "init",
    "sshd",
    "sshd-*",
    "dropbear",
    "dbus-daemon",
    "dbus-broker*",
    "login",
    "agetty",
    "polkitd",
    "resourced",
    "gdm*",
    "sddm*",
    "lightdm*",
    "Xorg",
    "Xwayland",
    "gnome-shell",
    "kwin_*",
    "plasmashell",
    "sway",
    "weston",
    "nvidia-persiste*",
)
"""Command names, cut at 15 bytes as the kernel cuts them, without which nobody gets in or sees anything."""

ESSENTIAL_UNITS: tuple[str, ...] = (
    "init.scope",
    "systemd-*.service",
    "dbus.service",
    "dbus-broker.service",
    "ssh.service",
    "sshd.service",
    "sshd@*.service",
    "ssh@*.service",
    "getty@*.service",
    "serial-getty@*.service",
    "display-manager.service",
    "gdm.service",
    "sddm.service",
    "lightdm.service",
    "polkit.service",
    "resourced.service",
    "user@*.service",
    "user-runtime-dir@*.service",
    "nvidia-persistenced.service",
)
"""Units without which nobody gets in or sees anything."""


_PROCESSES, _UNITS = any_of(ESSENTIAL_PROCESSES), any_of(ESSENTIAL_UNITS)


def protection(thing: Thing, tick: Tick, rule: Rule) -> str | None:
    """Return why something may not be pruned; None if it may."""
    return _own(thing, tick) or _essential(thing) or _kernel(thing, tick) or _configured(thing, rule)


def goes_last(thing: Thing, tick: Tick) -> str | None:
    """Return why something is pruned only when nothing else is left; None if it isn't so."""
    if _asked(_preference(thing, tick), "avoid"):
        return "its owner asked to avoid it (ManagedOOMPreference=avoid)"
    low = thing.cgroup.memory_low_bytes if thing.cgroup is not None and _of_the_system(thing.cgroup.path) else None
    if low and thing.whole and (thing.usage or 0.0) <= low:
        return "it holds no more than its memory.low"
    if thing.scope is Scope.UNIT and _UNITS.match(thing.name):  # the machine's own never come as far as this
        return f"{thing.name} carries what its owner runs"
    return None


def _own(thing: Thing, tick: Tick) -> str | None:
    myself = tick.myself
    if myself is None:
        return None
    pids = {each.pid for each in thing.members}
    if myself.pid in pids:
        return "it is resourced itself"
    if pids & myself.ancestors:
        return "resourced was started by it"
    inside = thing.whole and myself.cgroup is not None and myself.cgroup not in ("", "/")
    if inside and f"{myself.cgroup}/".startswith(f"{thing.path}/"):
        return "resourced runs in it"
    return None


def _essential(thing: Thing) -> str | None:
    if thing.whole:
        reason = _essential_cgroup(thing)
        if reason:
            return reason
    if thing.scope is Scope.USER:
        return _essential_user(thing)
    if thing.scope is Scope.UNIT or thing.scope is Scope.SLICE:
        return next((f"it holds {p.name} (pid {p.pid})" for p in thing.members if p.pid == 1), None)
    return next((reason for each in thing.members if (reason := _essential_process(each))), None)


def _essential_user(thing: Thing) -> str | None:
    """A person goes with all that was started; a user of the system may be there for one that nobody can do without."""
    if thing.uid == 0:
        return "it is root: the system would go with it"
    return _essential_member(thing) if thing.uid is not None and thing.uid < FIRST_PERSON_UID else None


def _essential_member(thing: Thing) -> str | None:
    held = next((each for each in thing.members if _essential_process(each)), None)
    return f"it holds {held.name} (pid {held.pid})" if held else None


@lru_cache(maxsize=1024)
def _of_the_system(path: str) -> bool:
    """Return whether PID 1 made a cgroup: it is in no other unit.

    What lies within a unit is made by whoever that unit has given its tree to (a user's own manager, a container), who
    gives it names and guarantees as he likes. They must not let him escape the rules of the machine.
    """
    return not any(part.endswith((".service", ".scope")) for part in path.split("/")[:-1])


def _essential_cgroup(thing: Thing) -> str | None:
    path = thing.path or ""
    name = path.rpartition("/")[2]
    if _of_the_system(path):
        if name in ("-.slice", "system.slice", "user.slice", "init.scope"):
            return f"{name} holds the system itself"
        if thing.unit and _UNITS.match(thing.unit):
            return f"{thing.unit} is essential"
        if name.startswith("session-") and name.endswith(".scope"):
            return f"{name} is someone's session; prune processes or trees in it instead"
    return _essential_member(thing) if thing.scope is Scope.SLICE else None


@lru_cache(maxsize=1024)
def _essential_name(name: str) -> bool:
    return _PROCESSES.match(name) is not None


def _essential_process(process: Process) -> str | None:
    if process.pid in (1, 2) or process.ppid == 2:
        return "it is the first process" if process.pid == 1 else "it is a kernel thread"
    if _essential_name(process.name):
        return f"{process.name} is essential"
    leaf = _special_leaf(process.cgroup) if process.cgroup else None
    if leaf is None:
        return None
    if not leaf.endswith(".scope"):
        return f"it serves {leaf}"
    return "it leads someone's session" if process.pid == process.session else None


@lru_cache(maxsize=1024)
def _special_leaf(path: str) -> str | None:
    """Return the name of a cgroup that serves a mount or holds a session; None for others."""
    if not _of_the_system(path):
        return None
    leaf = path.rpartition("/")[2]
    session = leaf.startswith("session-") and leaf.endswith(".scope")
    return leaf if session or leaf.endswith((".mount", ".swap")) else None


def _kernel(thing: Thing, tick: Tick) -> str | None:
    for each in thing.members:
        if each.oom_score_adj is not None and each.oom_score_adj <= -1000:
            whose = "it" if thing.scope is Scope.PROCESS else f"{each.name} (pid {each.pid}) in it"
            return f"{whose} has an OOM score adjustment of -1000"
    if _asked(_preference(thing, tick), "omit"):
        return "its owner asked to omit it (ManagedOOMPreference=omit)"
    omitted = _omitted_in(thing, tick) if thing.scope in (Scope.SLICE, Scope.USER) else None
    if omitted is not None:
        return f"it holds {omitted}, whose owner asked to omit it (ManagedOOMPreference=omit)"
    least = thing.cgroup.memory_min_bytes if thing.cgroup is not None and _of_the_system(thing.cgroup.path) else None
    if least and thing.whole and (thing.usage or 0.0) <= least:
        return "it holds no more than memory.min guarantees it"
    return None


def _preference(thing: Thing, tick: Tick) -> Preference | None:
    """The attribute speaks for its own cgroup and is not inherited by those below."""
    return tick.preferences.get(thing.path) if thing.path is not None else None


def _asked(preference: Preference | None, kind: str) -> bool:
    return preference is not None and preference.kind == kind and preference.honoured


def _omitted_in(thing: Thing, tick: Tick) -> str | None:
    """Return the name of a cgroup that would be ended with a slice or a user though its owner asked to omit it."""
    for path in dict.fromkeys(each.cgroup for each in thing.members):
        for each in ancestors(path):
            # A slice has others in it than the user's own; of a slice only what is below goes with it.
            inside = each.startswith(f"{thing.path}/") if thing.path is not None else not each.endswith(".slice")
            if inside and _asked(tick.preferences.get(each), "omit"):
                return each.rpartition("/")[2]
    return None


def _configured(thing: Thing, rule: Rule) -> str | None:
    who = _selected(rule.shield.protect, thing)
    if who is not None:
        return _told(thing, who, "the configuration protects")
    who = _selected(rule.spare, thing) if rule.spare else None
    if who is not None:
        return _told(thing, who, f"rule {rule.name} excepts")
    if rule.only is not None and not _meant(rule.only, thing):
        return f"rule {rule.name} is about others only"
    return None


def _selected(selector: Selector, thing: Thing) -> Thing | Process | None:
    """Return what of something is selected, itself or one of its processes: whoever prunes it ends them all."""
    if not selector:
        return None
    if _matches(selector, thing):
        return thing
    if thing.scope in (Scope.PROCESS, Scope.GPU_PROCESS):
        return None
    return next((each for each in thing.members if _matches_process(selector, each)), None)


def _meant(selector: Selector, thing: Thing) -> bool:
    """Return whether a rule that is about some only is about something: itself, or each of its processes."""
    if _matches(selector, thing):
        return True
    return bool(thing.members) and all(_matches_process(selector, each) for each in thing.members)


def _matches(selector: Selector, thing: Thing) -> bool:
    return selector.matches(unit=thing.unit, cgroup=thing.path, uid=thing.uid, name=thing.command)


def _matches_process(selector: Selector, process: Process) -> bool:
    return selector.matches(unit=None, cgroup=process.cgroup, uid=process.uid, name=process.name)


def _told(thing: Thing, who: Thing | Process, why: str) -> str:
    return f"{why} it" if who is thing else f"it holds {who.name} (pid {who.pid}), which {why}"
