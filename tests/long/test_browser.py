"""A real browser reads the events from a page of another origin that was allowed to, and from no other."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.running import running, settings

BROWSER = shutil.which("chromium")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
PAGE = """<!doctype html><script>
const seen = [];
const source = new EventSource("%s/events?kind=sample");
const tell = what => fetch("/told", {method: "POST", body: JSON.stringify(what)});
source.addEventListener("sample", event => {
  seen.push(JSON.parse(event.data).sequence);
  if (seen.length == 3) { source.close(); tell({seen}); }
});
source.onerror = () => { source.close(); tell({error: source.readyState}); };
</script>"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(200),
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed (Debian: chromium)"),
]


@contextmanager
def page(told: "Queue[Any]") -> Iterator[tuple[str, dict[str, str]]]:
    """Serve a page of our own; yield its origin, and where its text can be set."""
    shown = {"text": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(shown["text"].encode())

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(b"")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("allowed", [True, False])
def test_a_browser_reads_events_where_the_origin_is_allowed(tmp_path: Path, *, allowed: bool) -> None:
    told: Queue[Any] = Queue()
    with page(told) as (origin, shown):
        text = settings(tmp_path).replace(
            "port = 0", f'port = 0\ncors_origins = ["{origin}"]' if allowed else "port = 0"
        )
        with running(tmp_path, text=text) as daemon:
            shown["text"] = PAGE % f"http://127.0.0.1:{daemon.port}"
            command = [str(BROWSER), *QUIET, f"--user-data-dir={tmp_path}/profile", origin]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
                try:
                    said = told.get(timeout=120)
                finally:
                    browser.terminate()
    if allowed:
        first, second, third = said["seen"]
        assert first < second < third
    else:
        assert "error" in said
