"""From cgroup paths to systemd's units."""

_LEAVES = (".service", ".scope", ".mount", ".socket", ".swap")


def unit_of(path: str) -> str | None:
    """Return the systemd unit to which a cgroup belongs: the innermost service or scope of its path, else the slice.

    `/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service` is foo.service, a unit of the user's own
    manager; what a unit delegates (`…/docker.service/payload`) belongs to that unit.

    Args:
        path: Path below the cgroup root, beginning with "/".

    Returns:
        The unit's name, "-.slice" for the root; None outside systemd's tree.
    """
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "-.slice"
    for part in reversed(parts):
        if part.endswith(_LEAVES) and not part.startswith("."):
            return part
    for part in reversed(parts):
        if part.endswith(".slice") and part != ".slice":
            return part
    return None
