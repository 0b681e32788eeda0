"""Write what makes shells complete the words of both commands: `completions.py SHARE`, as /usr/share."""

import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from resourced.cli import group
from resourced.ctl.app import app

COMMANDS: dict[str, click.Command] = {"resourced": group, "resourcectl": app}
PLACES = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/vendor-completions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def write(share: Path) -> None:
    """Write a file for each command and shell."""
    for shell, place in PLACES.items():
        kind = get_completion_class(shell)
        if kind is None:
            raise SystemExit(f"click knows no completion for {shell}")
        for name, command in COMMANDS.items():
            path = share / place.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(kind(command, {}, name, f"_{name.upper()}_COMPLETE").source().strip() + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
