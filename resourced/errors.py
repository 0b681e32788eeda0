"""The errors that cross a border inside resourced: one small tree, one sentence each."""


class ResourcedError(Exception):
    """Root of every error that resourced raises on purpose."""


class ConfigError(ResourcedError):
    """The configuration is not usable; the text lists every fault, one a line."""


class Unavailable(ResourcedError):  # noqa: N818 - a state of the host, not a fault
    """The host does not have what was asked for: no PSI, no cgroup v2, no NVML."""


class ParseError(ResourcedError):
    """A kernel file did not have the expected form.

    Args:
        source: Path of the file that was read.
        text: The line or word that could not be understood.
        wanted: What was expected instead.
    """

    def __init__(self, source: str, text: str, wanted: str) -> None:
        super().__init__(f"{source}: expected {wanted}, found {text[:120]!r}")
        self.source = source
        self.text = text
        self.wanted = wanted


class GpuError(ResourcedError):
    """NVML answered a call with an error that concerns the library or a whole device."""


class HistoryError(ResourcedError):
    """The store can't be read or written now."""


class HistoryCorrupt(HistoryError):  # noqa: N818 - names what was found
    """The store's contents are damaged, or not a store of ours at all."""


class QueryError(ResourcedError):
    """A question to the history or the catalogue is malformed; the text names the parameter and what is allowed.

    Args:
        parameter: Name of the parameter at fault.
        message: What is wrong and what is allowed.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class ActionRefused(ResourcedError):  # noqa: N818 - an answer, not a fault
    """A step was not taken because a safety rule forbids it."""


class ActionFailed(ResourcedError):  # noqa: N818 - an answer, not a fault
    """A step was tried and the kernel or systemd said no."""


class TargetGone(ResourcedError):  # noqa: N818 - an answer, not a fault
    """What a step was meant for exists no more, or its identity now belongs to something else."""


class NotYours(ResourcedError):  # noqa: N818 - an answer, not a fault
    """Only the owner of a process or of a registration, root and admins may do this."""


class TooMany(ResourcedError):  # noqa: N818 - an answer, not a fault
    """As many workloads are registered as may be.

    Args:
        message: What the limit is.
        own: Whether it is the caller's own limit, and not that of the machine.
    """

    def __init__(self, message: str, *, own: bool) -> None:
        super().__init__(message)
        self.own = own


class StepImpossible(ResourcedError):  # noqa: N818 - an answer, not a fault
    """A step has no meaning for this target, as a memory limit for a single process; the next one is taken."""
