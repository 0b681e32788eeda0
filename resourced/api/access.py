"""Who may do what: peers of the Unix socket by their credentials, callers over TCP by a token."""

import hashlib
import hmac
import os
import pwd
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from resourced.api.problem import Problem
from resourced.errors import ConfigError

_SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
_SHORTEST_TOKEN = 16


class Right(IntEnum):
    """What a caller may do; each includes those before it."""

    NONE = 0
    READ = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a Unix socket, as the kernel vouches for it."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what is allowed."""

    name: str
    """For the audit: "uid 1000 pid 42", "token backup", "tcp 127.0.0.1"."""
    right: Right
    """What is allowed."""
    uid: int | None = None
    """Whose processes are the caller's own; None over TCP."""
    pid: int | None = None
    """The process that connected; None over TCP."""


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that gives a right; only its digest is kept."""

    name: str
    right: Right
    digest: bytes


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may do what."""

    admin_gid: int | None = None
    """Group whose members may change things over the Unix socket, besides root and the daemon's own user. A number: to
    look a name up may take long, and this is asked at every request."""
    tokens: tuple[Token, ...] = ()
    """For TCP; see `read_tokens`."""
    anonymous_read: bool = True
    """Whether TCP callers without a token may read."""
    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"})
    """Names that the Host header may carry over TCP, without port."""
    own_uid: int = field(default_factory=os.geteuid)
    """The daemon's user."""


def read_peer(connection: socket.socket) -> Peer:
    """Return who is at the other end of a connected Unix socket.

    Raises:
        OSError: The kernel doesn't tell.
    """
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        groups = frozenset(struct.unpack(f"{len(raw) // 4}I", raw))
    except OSError:  # more groups than a getsockopt of Python's can hold, or an old kernel
        groups = _groups_by_name(uid, gid)
    return Peer(pid, uid, gid, groups)


def _groups_by_name(uid: int, gid: int) -> frozenset[int]:
    try:
        return frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except (KeyError, OSError):
        return frozenset({gid})


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens in a file of lines `name right token`, right being read or admin; # begins a comment.

    Raises:
        ConfigError: The file can't be read, others may read it, or a line is malformed; no token is ever shown.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the token file can't be read: {error}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(f"{path}: everybody may read or write the token file; chmod o-rwx it")
    rights = {"read": Right.READ, "admin": Right.ADMIN}
    tokens: dict[str, Token] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[1] not in rights or words[0] in tokens:
            raise ConfigError(f"{path}:{number}: expected `name read|admin token`, each name once")
        if len(words[2]) < _SHORTEST_TOKEN:
            raise ConfigError(f"{path}:{number}: the token of {words[0]} is shorter than {_SHORTEST_TOKEN} characters")
        tokens[words[0]] = Token(words[0], rights[words[1]], _digest(words[2].encode()))
    return tuple(tokens.values())


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def identify(settings: AccessSettings, scope: Mapping[str, Any]) -> Caller:
    """Return who sent a request.

    Args:
        settings: Who may do what.
        scope: The ASGI scope; over a Unix socket its state holds the `peer`.

    Raises:
        Problem: 421 for a host that isn't ours, 401 for a token that isn't known.
    """
    headers = scope["headers"]
    peer = scope.get("state", {}).get("peer")
    if isinstance(peer, Peer):
        admin = peer.uid in (0, settings.own_uid) or _in_group(peer, settings.admin_gid)
        return Caller(name_of(scope), Right.ADMIN if admin else Right.READ, peer.uid, peer.pid)
    check_host(settings, [value for name, value in headers if name == b"host"])
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        return Caller(name_of(scope), Right.READ if settings.anonymous_read else Right.NONE)
    return _by_token(settings, given)


def name_of(scope: Mapping[str, Any]) -> str:
    """Return what the audit calls somebody whose token, if there is one, hasn't been looked at."""
    peer, client = scope.get("state", {}).get("peer"), scope.get("client")
    return f"uid {peer.uid} pid {peer.pid}" if isinstance(peer, Peer) else f"tcp {client[0] if client else '?'}"


def _by_token(settings: AccessSettings, given: list[bytes]) -> Caller:
    scheme, _, secret = given[0].partition(b" ")
    digest = _digest(secret.strip())
    found: Token | None = None
    for token in settings.tokens:  # all of them, so that the time taken tells nothing
        if hmac.compare_digest(token.digest, digest):
            found = token
    if found is None or len(given) > 1 or scheme.lower() != b"bearer":
        challenge = {"www-authenticate": 'Bearer realm="resourced", error="invalid_token"'}
        raise Problem(401, "the Authorization header holds no token that is known here", headers=challenge)
    return Caller(f"token {found.name}", found.right)


def require(caller: Caller, right: Right) -> None:
    """Refuse a caller who lacks a right.

    Raises:
        Problem: 401 if a token would help, else 403.
    """
    if caller.right >= right:
        return
    if caller.uid is None and not caller.name.startswith("token "):
        challenge = {"www-authenticate": 'Bearer realm="resourced"'}
        raise Problem(401, "this needs a token; send it as Authorization: Bearer …", headers=challenge)
    raise Problem(403, f"{caller.name} may not do this; it takes root, the admin group or an admin token")


def require_socket(caller: Caller) -> None:
    """Refuse a caller over TCP, of whom the kernel doesn't tell who it is.

    Raises:
        Problem: 403.
    """
    if caller.uid is None:
        raise Problem(403, "this goes over the Unix socket alone, where the kernel tells who asks")


def may_see(caller: Caller, uid: int) -> bool:
    """Return whether a caller may see, and change, what belongs to a user."""
    return caller.right is Right.ADMIN or caller.uid == uid


def check_host(settings: AccessSettings, hosts: list[bytes]) -> None:
    """Refuse a request for a host that isn't ours, as a web page makes it after DNS rebinding.

    Raises:
        Problem: 421.
    """
    name = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
    bare = name[1 : name.index("]")] if name.startswith("[") and "]" in name else name.partition(":")[0]
    if bare.rstrip(".") not in settings.allowed_hosts:
        raise Problem(421, f"the Host header {name[:80]!r} is not one of this machine's; see api.allowed_hosts")


def _in_group(peer: Peer, gid: int | None) -> bool:
    return gid is not None and (gid == peer.gid or gid in peer.groups)
