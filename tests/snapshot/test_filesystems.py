import pytest

from resourced.collectors.filesystems import FilesystemsSample, MountSample, SpaceSample
from resourced.snapshot.filesystems import Filesystem, derive_filesystems
from tests.collectors.host_fakes import taken


def sample(space: SpaceSample | None, reason: str | None = None) -> FilesystemsSample:
    return FilesystemsSample({"/": MountSample("/dev/sda1", "ext4", read_only=False, space=space, reason=reason)})


def root(space: SpaceSample | None, reason: str | None = None) -> Filesystem:
    return derive_filesystems(None, taken(sample(space, reason)), None).mounts["/"]


def test_space_is_counted_as_df_counts_it() -> None:
    found = root(SpaceSample(1000, 400, 200, 50, 40))

    assert (found.used_bytes, found.utilization) == (600, 0.75)
    assert found.inodes_total == 50
    assert found.inodes_utilization == pytest.approx(0.2)


def test_a_type_without_inodes_or_with_impossible_values_has_unknown_shares() -> None:
    found = root(SpaceSample(1000, 2000, 200, 0, 0))

    assert found.used_bytes is found.utilization is None
    assert found.inodes_total is found.inodes_free is found.inodes_utilization is None
    assert found.free_bytes == 2000
    assert root(SpaceSample(0, 0, 0, 0, 0)).utilization is None


def test_one_that_does_not_answer_says_why() -> None:
    found = root(None, "late")

    assert (found.total_bytes, found.utilization, found.reason) == (None, None, "late")


def test_what_is_the_same_as_before_is_the_same_object() -> None:
    first = taken(sample(SpaceSample(10, 4, 2, 5, 4)))
    before = derive_filesystems(None, first, None)

    assert derive_filesystems(first, first, before).mounts["/"] is before.mounts["/"]
    changed = taken(sample(SpaceSample(10, 3, 1, 5, 4)))
    assert derive_filesystems(first, changed, before).mounts["/"] is not before.mounts["/"]
