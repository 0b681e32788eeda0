"""What a reload renews for the callers: tokens and the certificate, also for connections that are open."""

import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from resourced.config import ResourceConfig
from resourced.config_api import ApiConfig
from resourced.errors import ConfigError
from resourced.front import Front
from resourced.parts import access_settings, listen_settings
from tests.api.fakes import FakeService
from tests.running import PATIENCE_SECONDS, Daemon, running, settings

OLD, NEW, ADMIN = "old-" * 5, "new-" * 5, "admin-" * 5


def reload(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_told("RELOADING=1")
    daemon.await_told("READY=1")


def write_tokens(path: Path, **tokens: tuple[str, str]) -> Path:
    path.write_text("".join(f"{name} {right} {token}\n" for name, (right, token) in tokens.items()))
    path.chmod(0o600)
    return path


def status(client: httpx.Client, token: str, path: str = "/resources/cpu", method: str = "GET") -> int:
    return client.request(method, path, headers={"authorization": f"Bearer {token}"}).status_code


def with_api(directory: Path, *lines: str) -> str:
    return settings(directory).replace("[api]", "\n".join(["[api]", *lines]))


def test_a_token_that_is_taken_out_stops_working_at_once_also_on_open_connections_and_streams(tmp_path: Path) -> None:
    file = write_tokens(tmp_path / "tokens", scrape=("read", OLD), ops=("admin", ADMIN))
    text = with_api(tmp_path, "anonymous_read = false", f'tokens_file = "{file}"')
    with running(tmp_path, text=text) as daemon, daemon.tcp() as old, daemon.tcp() as ops:
        assert status(old, OLD) == status(ops, ADMIN) == 200
        headers = [{"authorization": f"Bearer {token}"} for token in (OLD, ADMIN)]
        paths = ["/events?kind=sample"] * 2
        with (
            daemon.tcp() as one,
            daemon.tcp() as other,
            one.stream("GET", paths[0], headers=headers[0]) as ending,
            other.stream("GET", paths[1], headers=headers[1]) as lasting,
        ):
            write_tokens(file, scrape=("read", NEW), ops=("admin", ADMIN))
            reload(daemon)
            with pytest.raises(httpx.HTTPError):
                for _ in ending.iter_lines():
                    pass
            lines = lasting.iter_lines()
            assert [next(line for line in lines if line.startswith("data:")) for _ in range(2)]
        assert (status(old, OLD), status(old, NEW), status(ops, ADMIN)) == (401, 200, 200)
        assert status(old, NEW, "/reload", "POST") == 403
        [dropped] = daemon.lines("api_stream_dropped")
    assert "may not read any more" in dropped["reason"]


def test_who_waits_for_a_sample_with_a_token_that_is_taken_out_gets_none(tmp_path: Path) -> None:
    file = write_tokens(tmp_path / "tokens", scrape=("read", OLD))
    text = with_api(tmp_path, "anonymous_read = false", f'tokens_file = "{file}"')
    head = f"GET /resources/cpu?wait=30&after=2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OLD}\r\n\r\n"
    with (
        running(tmp_path, text=text.replace("200ms", "3s")) as daemon,
        socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_SECONDS) as waiting,
    ):
        waiting.sendall(head.encode())
        assert daemon.get("/version")  # by now it has been let in
        write_tokens(file, scrape=("read", NEW))
        reload(daemon)
        assert waiting.recv(65536).startswith(b"HTTP/1.1 401")


def test_a_file_without_tokens_is_none(tmp_path: Path) -> None:
    file = write_tokens(tmp_path / "tokens")
    file.write_text("# none yet\n")
    config = ResourceConfig(api=ApiConfig(tokens_file=file))

    assert not listen_settings(config, {}, 1).has_tokens


pytest_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL's command makes the certificates")


def make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that vouches for itself, and its key."""
    chain, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    about = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *about, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


def install(pair: tuple[Path, Path], directory: Path) -> None:
    shutil.copy(pair[0], directory / "cert.pem")
    shutil.copy(pair[1], directory / "key.pem")


def secure(daemon: Daemon, chain: Path) -> httpx.Client:
    """Return a client that trusts this certificate alone."""
    context = ssl.create_default_context(cafile=str(chain))
    return httpx.Client(base_url=f"https://127.0.0.1:{daemon.port}", verify=context, timeout=PATIENCE_SECONDS)


@pytest_openssl
def test_a_renewed_certificate_is_shown_after_a_reload_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    first, second, third = (make_certificate(tmp_path, name) for name in ("first", "second", "third"))
    install(first, tmp_path)
    text = with_api(tmp_path, f'tls_certificate = "{tmp_path}/cert.pem"', f'tls_key = "{tmp_path}/key.pem"')
    with running(tmp_path, text=text) as daemon, secure(daemon, first[0]) as before:
        assert before.get("/resources/cpu").status_code == 200
        assert daemon.get("/healthz")["listeners"][1].startswith("https://")
        install(second, tmp_path)
        reload(daemon)
        [told] = daemon.lines("daemon_reloaded")
        assert told["changed"] == "the certificate"
        with secure(daemon, second[0]) as after:
            assert after.get("/resources/cpu").status_code == 200
        assert before.get("/resources/cpu").status_code == 200
        shutil.copy(third[0], tmp_path / "cert.pem")  # the key is still that of the second
        reload(daemon)
        [refused] = daemon.lines("config_refused")
        assert "cert.pem: the TLS certificate can't be used with the key" in refused["reason"]
        with secure(daemon, second[0]) as after:
            assert after.get("/resources/cpu").status_code == 200


@pytest_openssl
@pytest.mark.parametrize(("name", "said"), [("none.pem", "can't be read"), ("text.pem", "can't be used")])
def test_a_certificate_that_cannot_be_used_is_told_at_the_start(tmp_path: Path, name: str, said: str) -> None:
    _, key = make_certificate(tmp_path, "first")
    (tmp_path / "text.pem").write_text("no certificate")
    text = with_api(tmp_path, f'tls_certificate = "{tmp_path}/{name}"', f'tls_key = "{key}"')
    with running(tmp_path, text=text, ready=False) as daemon:
        assert daemon.process.wait(PATIENCE_SECONDS) == 78
        assert said in daemon.text()


@pytest_openssl
def test_a_key_with_a_password_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "first")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-out", locked, "-aes256", "-passout", "pass:secret"],
        check=True,
        capture_output=True,
    )
    config = ResourceConfig(api=ApiConfig(unix=False, port=0, tls_certificate=chain, tls_key=locked))

    with pytest.raises(ConfigError, match="can't be used with the key"):
        Front(config)


@pytest_openssl
def test_where_other_machines_can_ask_nobody_reads_without_a_token(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "first")
    tokens = write_tokens(tmp_path / "tokens", scrape=("read", OLD))
    api: dict[str, Any] = {"unix": False, "port": 0, "tls_certificate": chain, "tls_key": key, "tokens_file": tokens}
    for address, open_ in (("127.0.0.1", True), ("0.0.0.0", False)):
        config = ResourceConfig(api=ApiConfig(**api, address=address))
        front = Front(config)
        try:
            front.open(FakeService())
            assert front._app.context.access.anonymous_read is open_
            front.set_access(access_settings(config))
            assert front._app.context.access.anonymous_read is open_
        finally:
            for sock in front._sockets:
                sock.close()
