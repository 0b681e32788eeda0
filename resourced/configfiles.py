"""Where configuration comes from.

From the least to the most important: defaults, the profile's rules, the main file, drop-ins, the environment, options
of the command line. `load` reads all of it, checks it whole, and tells of every value where it was said.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from resourced.config import ResourceConfig
from resourced.configerrors import find_faults
from resourced.configlayers import DEFAULT, Fault, Layer, Merged, Origin
from resourced.configschema import by_key, settings, tables
from resourced.configtext import Path as Key
from resourced.configtext import key_lines, read_value, split_key
from resourced.errors import ConfigError

NAME = "resourced.toml"
"""Of the main file; drop-ins are beside it in a directory of this name and ".d"."""

SYSTEM_DIRECTORY = Path("/etc/resourced")
"""Where root's configuration is."""

_PREFIX = "RESOURCED_"
_MOST_BYTES = 4 * 1024**2
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where each part of it comes from."""

    config: ResourceConfig
    """What is in force."""
    origins: Mapping[str, Origin]
    """Keyed by dotted key, as `api.port`; a rule's by its name, as `rule.memory-low.below`. Holds every setting."""
    warnings: tuple[str, ...] = ()
    """What is odd but does no harm, a sentence each."""
    files: tuple[Path, ...] = ()
    """Files that were read, in this order."""

    def origin(self, key: str) -> Origin:
        """Return where a key was said; the default if nowhere."""
        return self.origins.get(key, DEFAULT)


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    layers: list[Layer] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def load(
    paths: Sequence[Path] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    uid: int | None = None,
) -> Loaded:
    """Return the configuration that is meant.

    Args:
        paths: Main files, the later covers the earlier; each with the drop-ins beside it. By default that of the
            machine or of the user, see `main_file`, which need not exist.
        environ: Where RESOURCED_ variables stand; by default the process's environment.
        options: Texts as `api.port=9000`, the later covers the earlier.
        uid: Effective user id; by default the process's.

    Raises:
        ConfigError: Something is wrong; the text lists every fault, one a line, with its place.
    """
    environ = os.environ if environ is None else environ
    reading = _Reading()
    named = paths is not None
    for path in paths if paths is not None else [main_file(environ, os.geteuid() if uid is None else uid)]:
        for each in [path, *_drop_ins(path, reading)]:
            _read_file(each, reading, required=named and each is path)
    _read_environment(environ, reading)
    for option in options:
        _read_option(option, reading)
    return _build(reading)


def main_file(environ: Mapping[str, str], uid: int) -> Path:
    """Return the main file of who runs the daemon.

    It is in $CONFIGURATION_DIRECTORY, which systemd sets; else in /etc/resourced for root, and for others in resourced
    in $XDG_CONFIG_HOME.
    """
    if given := environ.get("CONFIGURATION_DIRECTORY"):
        return Path(given.partition(":")[0]) / NAME
    if uid == 0:
        return SYSTEM_DIRECTORY / NAME
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/") / ".config"
    return Path(home) / "resourced" / NAME


def profile_text(name: str) -> str | None:
    """Return a shipped profile as it is written; None if it is not there."""
    # Not by its package: that would import the policy, which is above the configuration.
    try:
        return (files("resourced") / "policy" / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    except OSError:
        return None


def _build(reading: _Reading) -> Loaded:
    merged = Merged()
    if profile := _profile(reading):
        merged.add(profile)
    for layer in reading.layers:
        merged.add(layer)
    faults = [*reading.faults, *merged.faults, *find_faults(merged)]
    if faults:
        read = [str(path) for path in reading.files]
        raise ConfigError("\n".join(map(str, sorted(faults, key=lambda fault: _order(fault.origin, read)))))
    config = ResourceConfig.model_validate(merged.data)
    origins = {".".join(each.key): DEFAULT for each in settings()}
    known = tables()
    origins |= {".".join(map(str, key)): origin for key, origin in merged.origins.items() if key not in known}
    hasty = {key: text for key, text in config.hasty().items() if origins[key] != DEFAULT}
    reading.warnings += [f"{origins[key]}: {key}: {text}" for key, text in hasty.items()]
    return Loaded(config, origins, tuple(reading.warnings), tuple(reading.files))


def _order(origin: Origin, read: list[str]) -> tuple[int, int, int]:
    """Return where among all that was read something stands."""
    source = ("default", "profile", "file", "environment", "option").index(origin.source)
    return source, read.index(origin.name) if origin.name in read else len(read), origin.line or 0


def _profile(reading: _Reading) -> Layer | None:
    """Return what the profile says that is asked for last; None if it is none, or not one of ours."""
    setting = by_key()["policy", "profile"]
    name: Any = setting.default
    for layer in reading.layers:
        policy = layer.data.get("policy")
        name = policy.get("profile", name) if isinstance(policy, Mapping) else name
    text = profile_text(name) if name in get_args(setting.type) else None
    if text is None:
        return None
    content = tomllib.loads(text)
    data = {"rule": content.get("rule", [])}
    if "mode" in content:
        data["policy"] = {"mode": content["mode"]}
    lines = key_lines(text)

    def where(key: Key) -> Origin:
        return Origin("profile", name, _line(lines, key[1:] if key[:1] == ("policy",) else key))

    return Layer(data, where)


def _line(lines: Mapping[Key, int], key: Key) -> int | None:
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), None)


def _drop_ins(path: Path, reading: _Reading) -> list[Path]:
    if not path.name:  # the root directory, which is refused as a file
        return []
    directory = path.with_name(f"{path.name}.d")
    try:
        found = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _unreadable(directory, error, reading)
        return []
    for other in found:
        if other.suffix != ".toml" and not other.name.startswith(".") and not other.name.endswith("~"):
            reading.warnings.append(f"{other} is not read: its name doesn't end in .toml")
    return [each for each in found if each.suffix == ".toml" and not each.name.startswith(".")]


def _read_file(path: Path, reading: _Reading, *, required: bool) -> None:
    try:
        text = _text(path, reading)
    except FileNotFoundError as error:
        if required or path.is_symlink():
            _unreadable(path, error, reading)
        return
    except OSError as error:
        _unreadable(path, error, reading)
        return
    if text is None:
        return
    reading.files.append(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reading.faults.append(_malformed(path, text, str(error)))
        return
    except RecursionError:
        reading.faults.append(Fault(Origin("file", str(path)), (), "arrays or tables are nested too deeply"))
        return
    except ValueError as error:  # a number of thousands of digits
        reading.faults.append(Fault(Origin("file", str(path)), (), str(error)))
        return
    lines = key_lines(text)
    reading.layers.append(Layer(data, lambda key: Origin("file", str(path), _line(lines, key))))


def _text(path: Path, reading: _Reading) -> str | None:
    """Return what a file holds; None if that is no text of ours, which is then noted as a fault."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(_MOST_BYTES + 1)
    if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        reading.warnings.append(f"{path}: everybody may write this file, and so say what is pruned; chmod o-w it")
    if len(content) > _MOST_BYTES:
        reading.faults.append(Fault(Origin("file", str(path)), (), f"is larger than {_MOST_BYTES // 1024**2} MiB"))
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        reading.faults.append(
            Fault(Origin("file", str(path), line), (), f"is not UTF-8: byte {byte}; save the file as UTF-8")
        )
        return None


def _unreadable(path: Path, error: OSError, reading: _Reading) -> None:
    text = "is a directory; name a file" if isinstance(error, IsADirectoryError) else f"can't be read: {error.strerror}"
    reading.faults.append(Fault(Origin("file", str(path)), (), text))


def _malformed(path: Path, text: str, message: str) -> Fault:
    position = _POSITION.search(message)
    line = int(position[1]) if position and position[1] else text.rstrip().count("\n") + 1
    said = message[: position.start()] if position else message
    if said.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate")):
        written = text.split("\n")[line - 1].strip()
        # The parser stands behind a table's header, but may stand before or behind the value of a key.
        said = f"this key or table is there twice: {written[:80]}"
    else:
        said = f"is not TOML: {said[:1].lower()}{said[1:]}"
    return Fault(Origin("file", str(path), line), (), said)


def _read_environment(environ: Mapping[str, str], reading: _Reading) -> None:
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        origin = Origin("environment", variable)
        key = tuple(variable.removeprefix(_PREFIX).lower().split("__"))
        if len(key) == 1:
            reading.warnings.extend(_misspelt(variable, key[0]))
        elif key[0] == "rule":
            text = "rules can't be changed in the environment; use a drop-in file or --set"
            reading.faults.append(Fault(origin, (), text))
        else:
            reading.layers.append(_single(key, environ[variable], origin))


def _misspelt(variable: str, name: str) -> Iterator[str]:
    """Yield a warning if a variable looks as if it should set something."""
    for each in settings():
        if "_".join(each.key) == name:
            yield f"{variable} is not read: two underscores part levels; write {_PREFIX}{'__'.join(each.key).upper()}"


def _read_option(option: str, reading: _Reading) -> None:
    text, equals, value = option.partition("=")
    origin = Origin("option", option)
    try:
        if not equals:
            raise ValueError(f"{option!r} sets nothing; write for example api.port=9000")  # noqa: TRY301 - one way out
        key = split_key(text.strip())
    except ValueError as error:
        reading.faults.append(Fault(origin, (), str(error)))
        return
    if key[0] != "rule":
        reading.layers.append(_single(key, value.strip(), origin))
    elif len(key) == 3:
        rule = {"name": key[1], key[2]: read_value(value.strip())}
        reading.layers.append(Layer({"rule": [rule]}, lambda _: origin))
    else:
        reading.faults.append(Fault(origin, (), "name one key of one rule, as rule.memory-low.mode=off"))


def _single(key: tuple[str, ...], text: str, origin: Origin) -> Layer:
    value = read_value(text)
    setting = by_key().get(key)
    if setting is not None and isinstance(value, (bool, int, float)) and _takes_text(setting.type):
        value = text  # a group that is called 1000, a mode that is called off
    data: Any = value
    for name in reversed(key):
        data = {name: data}
    return Layer(data, lambda _: origin)


def _takes_text(type_: Any) -> bool:
    return get_origin(type_) is Literal or (isinstance(type_, type) and issubclass(type_, (str, Path)))
