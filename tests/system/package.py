"""The Debian package that is tried in the machine."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(directory: Path) -> Path:
    """Return the package, made in a directory; RESOURCED_DEB names one that is there already."""
    if given := os.environ.get("RESOURCED_DEB"):
        return Path(given)
    subprocess.run([ROOT / "packaging/deb", directory], check=True, env={**os.environ, "PYTHON": sys.executable})
    [made] = directory.glob("*.deb")
    return made
