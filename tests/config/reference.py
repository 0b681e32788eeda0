"""The table of settings in docs/configuration.md, written from the models: `python -m tests.config.reference`."""

from pathlib import Path

from resourced.cli import Exit
from resourced.configschema import Setting, settings, tables
from resourced.configtext import write_key, write_value

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"
BEGIN, END = "<!-- settings: begin (written by python -m tests.config.reference) -->", "<!-- settings: end -->"


def reference() -> str:
    """Return every setting, a table of Markdown for each table of TOML."""
    lines: list[str] = []
    for table, description in tables().items():
        inside = [each for each in settings() if each.key[:-1] == table]
        if inside:
            lines += ["", f"### [{write_key(table)}]", "", description, ""]
            lines += ["| key | default | allowed | meaning |", "|---|---|---|---|", *map(_row, inside)]
    return "\n".join([*lines[1:], ""])


def _row(setting: Setting) -> str:
    written = setting.written(setting.default)
    default = "" if written is None else f"`{write_value(written)}`"
    cells = (f"`{setting.key[-1]}`", default, setting.allowed, setting.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_reference(document: str) -> str:
    """Return the document with the settings as they are."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def exits() -> list[str]:
    """Return the rows of the table of exit codes; what they mean is told in the document."""
    return [f"| {code.value} | {code.name} |" for code in Exit]


if __name__ == "__main__":
    DOCUMENT.write_text(with_reference(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
