"""What a step is done to: a cgroup with all that lives in it, or single processes; opened once and pinned."""

from collections.abc import Iterator, Sequence

from resourced.actions.handles import CgroupHandle, Members, ProcessHandle, members_of
from resourced.collectors.base import Roots
from resourced.decision import Candidate, Scope
from resourced.errors import ActionRefused, TargetGone
from resourced.policy import Myself

_OF_A_CGROUP = (Scope.UNIT, Scope.SLICE, Scope.WORKLOAD)


class Target:
    """Someone who must give way.

    Attributes:
        key: Identity, as in the candidate.
        name: What a person calls it.
        cgroup: Its cgroup, if it is one.
        processes: Its processes, if it isn't.
    """

    __slots__ = ("cgroup", "key", "myself", "name", "processes", "roots")

    def __init__(self, key: str, name: str, *, roots: Roots, myself: Myself) -> None:
        self.key = key
        self.name = name
        self.roots = roots
        self.myself = myself
        self.cgroup: CgroupHandle | None = None
        self.processes = Members()

    @classmethod
    def open(
        cls, candidate: Candidate, members: Sequence[tuple[int, int]], *, roots: Roots, myself: Myself
    ) -> "Target":
        """Pin a candidate.

        Args:
            candidate: Who it is.
            members: Its processes as they were seen last, pid and start time in ticks; those of a cgroup are listed
                anew when something is done to them.
            roots: Where the kernel's trees are.
            myself: Who resourced is.

        Raises:
            TargetGone: Nothing of it is left.
            ActionRefused: It is, or holds, what must never be touched.
            ActionFailed: The kernel refuses to name it.
        """
        target = cls(candidate.key, candidate.name, roots=roots, myself=myself)
        path, _, inode = candidate.key.rpartition(":")
        try:
            if candidate.scope in _OF_A_CGROUP and path.startswith("/"):
                target._spare_cgroup(path)
                target.cgroup = CgroupHandle(path, int(inode), roots)
            else:
                target._pin(members)
            target.check()
        except BaseException:
            target.close()
            raise
        return target

    def check(self) -> None:
        """Make sure that nothing untouchable belongs to it, now.

        The policy has its own and longer list; this is the last line, and no configuration reaches it.

        Raises:
            ActionRefused: The first process, a kernel thread, resourced itself or what started it belongs to it.
        """
        never = {1, 2, self.myself.pid, *self.myself.ancestors}
        pids = self.cgroup.pids() if self.cgroup is not None else [each.pid for each in self.processes]
        found = next((pid for pid in pids if pid in never), None)
        if found is not None:
            raise ActionRefused(f"{self.name} holds process {found}, which must never be touched")
        kernel = next((each for each in self.processes if each.was_kernel_thread), None)
        if kernel is not None:
            raise ActionRefused(f"{kernel.name} is a thread of the kernel")

    @property
    def alive(self) -> bool:
        """Whether anything of it runs."""
        if self.cgroup is not None:
            return self.cgroup.populated
        return any(each.alive for each in self.processes)

    def batches(self) -> Iterator[Members]:
        """Yield its living processes, pinned, some at a time."""
        if self.cgroup is not None:
            yield from members_of(self.cgroup, self.roots)
        else:
            yield Members(each for each in self.processes if each.alive)

    def descriptors(self) -> list[int]:
        """Return descriptors that become readable when processes of it end; none for a cgroup."""
        return [each.fd for each in self.processes if each.alive]

    def close(self) -> None:
        """Let go of it."""
        if self.cgroup is not None:
            self.cgroup.close()
        self.processes.close()

    def _pin(self, members: Sequence[tuple[int, int]]) -> None:
        gone: TargetGone | None = None
        for pid, start in members:
            try:
                self.processes.append(ProcessHandle(pid, start, self.roots))
            except TargetGone as error:
                gone = error
        if not self.alive:
            raise gone or TargetGone(f"{self.name} has no living process")

    def _spare_cgroup(self, path: str) -> None:
        own = self.myself.cgroup
        if path == "/":
            raise ActionRefused("the root of the cgroup tree is everything")
        if own not in (None, "", "/") and f"{own}/".startswith(f"{path}/"):
            raise ActionRefused(f"resourced runs in {path}")
