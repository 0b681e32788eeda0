"""Pin what pyproject.toml allows, with hashes, for the oldest Python that is supported.

Run by `make pins`. Several files, so that a machine that only runs the daemon gets no test tools; each later file keeps
the versions of the earlier ones. Lines that would name a registry or a path are left out.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = (
    *("--quiet", "--upgrade", "--generate-hashes", "--strip-extras", "--allow-unsafe"),
    *("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--no-header", "--no-annotate"),
)
# Packages that come only as source are built with these, instead of in an environment of their own.
BUILDERS = ["setuptools", "wheel"]


def wanted() -> dict[str, list[str]]:
    """Read what is wanted from pyproject.toml; keyed by file name, in the order in which the files are installed."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    return {
        "requirements-build.txt": [*project["build-system"]["requires"], *BUILDERS],
        "requirements.txt": project["project"]["dependencies"],
        "requirements-test.txt": groups["test"],
        "requirements-lint.txt": groups["lint"],
        "requirements-long.txt": groups["long"],
    }


def main() -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as scratch:
        done: list[Path] = []
        for name, ranges in wanted().items():
            source, target = Path(scratch, f"{name}.in"), Path(scratch, name)
            source.write_text("".join(f"-c {path}\n" for path in done) + "\n".join(ranges) + "\n")
            command = [sys.executable, "-m", "piptools", "compile", *FLAGS, "--output-file", str(target), str(source)]
            subprocess.run(command, check=True)  # noqa: S603  # fixed words and paths of our own
            lines = [line for line in target.read_text().splitlines() if line and not line.startswith("#")]
            (HERE / name).write_text("\n".join(lines) + "\n")
            done.append(target)


if __name__ == "__main__":
    main()
