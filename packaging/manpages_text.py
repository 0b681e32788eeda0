"""The parts of the manual that no program can say of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Page:
    """What stands around the options, verbs or settings.

    Paragraphs are apart by an empty line, `* term :: text` is a list, and what is indented by four stands as it is.
    """

    name: str
    section: int
    title: str
    """What it is, in one line."""
    synopsis: tuple[str, ...]
    description: str
    sections: Mapping[str, str] = field(default_factory=dict)
    """Further sections behind the options, by title."""


RULES = """
Rules say when something must give way, and what. Those of policy.profile are there already. A rule whose name is known
changes only the keys that it has; another name adds a rule.

    [[rule]]
    name = "batch-memory"
    level = "soft"
    metric = "memory.available"
    below = "12.5%"
    for = "10s"
    only = { slices = ["batch.slice"] }
"""

DAEMON = Page(
    name="resourced",
    section=8,
    title="watch one machine, remember what was seen, decide what must give way, and say why",
    synopsis=(
        "resourced run [--config FILE] [--set KEY=VALUE] [--replay FILE [--speed N]]",
        "resourced check-config [--show]",
        "resourced default-config",
    ),
    description="""
resourced samples the processors, memory, pressure, network, disks, file systems, sensors, GPUs, control groups and
processes of this machine, once a second by default; keeps them for a week, and minutes and hours of them for longer, in
a small database; judges every sample by
rules; and serves all of it over HTTP on a Unix socket and on a port of the loopback device.

It is started by systemd as resourced.service. resourced-readonly.service is the same without any capability, for
machines on which it must only watch; the two exclude each other. Both take their sockets from resourced.socket, which
stays open while the daemon restarts, so that no caller is refused.
""",
    sections={
        "SIGNALS": """
* SIGTERM, SIGINT :: End: requests under way are answered and the history is written.
* SIGHUP :: Read the configuration, tokens and certificate again. What is wrong is told in the journal, and what runs
stays in force. Rules and most settings of the policy take effect at once; those that wait for a restart are named.
* SIGUSR1, SIGUSR2 :: Log everything; log as configured.
""",
        "EXIT STATUS": """
* 0 :: It was done, or the daemon was asked to end.
* 1 :: check-config found something wrong.
* 2 :: The command line is wrong, or the recording can't be replayed.
* 70 :: A fault that nobody foresaw; starting again may help.
* 78 :: The configuration can't be used. The service is not started again before it is mended.
""",
        "ACCESS": """
Members of the group resourced may connect to the Unix socket and read. Root, and members of resourced-admin who may
connect, may change what runs. Over TCP everybody on this machine may read, and a token from /etc/resourced/tokens is
needed to change anything.

    adduser alice resourced
    adduser alice resourced-admin
""",
        "FILES": """
* /etc/resourced/resourced.toml, /etc/resourced/resourced.toml.d/*.toml :: Configuration, see resourced.toml(5).
* /etc/resourced/tokens :: Tokens for TCP, a line `name read|admin token` each, of 16 characters or more; readable by
root alone. The service gets them as a credential when it starts.
* /run/resourced/resourced.sock :: The Unix socket.
* /run/resourced/pressure.sock :: Wakes programs that wait for memory pressure (`MEMORY_PRESSURE_WATCH=`).
* /run/resourced/workloads.json :: Who is registered.
* /run/resourced/actions.json :: What was changed and must be put back.
* /run/resourced/workloads/ :: FIFOs by which registered workloads are told.
* /var/lib/resourced :: The history.
""",
        "SEE ALSO": "resourcectl(1), resourced.toml(5), journalctl(1), systemd-oomd.service(8)",
    },
)

CTL = Page(
    name="resourcectl",
    section=1,
    title="ask resourced what this machine does, did, and what must give way",
    synopsis=("resourcectl [--socket PATH | --url URL] [--json] VERB [ARGUMENT...]",),
    description="""
resourcectl talks to a running resourced over its Unix socket, or over TCP with --url. Every verb takes the options
below before or after its name, and prints JSON for programs with --json.
""",
    sections={
        "EXIT STATUS": """
* 0 :: It was done, or the answer is there.
* 1 :: The daemon said no, or something is amiss (doctor).
* 2 :: The command line is wrong.
* 3 :: No daemon answers.
* 4 :: This user or token may not do it.
* 5 :: There is no such decision, process, unit, metric or section.
* 126, 127 :: run: the command can't be run; there is no such command. Once it runs, the code is its own.
* 130, 141 :: Interrupted; the reader of the output went away.
""",
        "ENVIRONMENT": """
* RESOURCED_SOCKET :: Where the daemon is, as --socket or --url.
* RESOURCED_TOKEN_FILE :: File with the token for TCP, as --token-file.
* NO_COLOR :: If set, nothing is bold or coloured. Nothing is either where the output is no terminal.
* RESOURCED_WORKLOAD, RESOURCED_WORKLOAD_FILE, MEMORY_PRESSURE_WATCH :: Set by run for the command: the id of its
registration, the pipe on which it is told (--tell file), and where it hears of memory pressure.
""",
        "EXAMPLES": """
What happened at twelve past three, and who did it:

    resourcectl top --at 03:12
    resourcectl history memory.available --since 8h
    resourcectl decisions

A training job that may be asked to go, with two minutes for its checkpoint and no more than half of the memory:

    resourcectl run --priority low --grace 2min --memory-high 50% --signal USR1 -- python train.py

Who takes part, what was frozen, and letting it run on:

    resourcectl workloads
    resourcectl freeze list
    resourcectl thaw hog.service

What is wrong with this installation, and what to do about it:

    resourcectl doctor
""",
        "SEE ALSO": "resourced(8), resourced.toml(5), journalctl(1)",
    },
)

CONFIG = Page(
    name="resourced.toml",
    section=5,
    title="configuration of resourced",
    synopsis=("/etc/resourced/resourced.toml", "/etc/resourced/resourced.toml.d/*.toml"),
    description="""
The main file is read first, then the files beside it in the order of their names, then variables of the environment
such as RESOURCED_API__PORT=9000, then options such as --set api.port=9000. The later wins. The file is TOML; no key
need be there. What is not known is refused, all faults at once, with file and line.

Durations are written as 500ms, 10s, 5min, 2h, 7d or 1y; sizes as 512MiB or 2GB; shares as 85% or 0.85.

Check a change with resourced check-config, and put it into force with systemctl reload resourced.
""",
    sections={"SEE ALSO": "resourced(8), resourcectl(1)"},
)
