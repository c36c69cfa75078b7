"""A server of files on this machine that can do what servers do wrong."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mpikit.datasets import Dataset


class Server:
    """What is served, how, and what was asked for."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.ranges = True  # parts are sent
        self.conditions = True  # If-Range is obeyed
        self.shift = 0  # parts begin elsewhere
        self.says_length = True
        self.cut: int | None = None  # bytes after which the connection breaks
        self.status = 0  # of every answer
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self.address = ""

    def dataset(self, name="scan", file="some/scan.mdf", **facts):
        return Dataset(
            name=name, kind="measurement", summary="", url=f"{self.address}/{file}", file=file, **facts
        )


class Handler(BaseHTTPRequestHandler):
    """Answer as the `Server` in ``served`` says."""

    served: Server

    def do_GET(self):
        served = self.served
        served.asked.append((self.path, self.headers["Range"]))
        name = self.path.lstrip("/")
        if self.path in served.redirects:
            self.send_response(302)
            self.send_header("Location", served.redirects[self.path])
            self.end_headers()
        elif served.status or name not in served.files:
            self.send_error(served.status or 404)
        else:
            self._send(served.files[name], served.tags.get(name, ""))

    def do_HEAD(self):
        self.do_GET()

    def _send(self, content, tag):
        start = self._start(tag)
        if start is not None and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        body = content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            first = start + self.served.shift
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if tag:
            self.send_header("ETag", tag)
        if self.served.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self._write(body[: self.served.cut])

    def _start(self, tag):
        """Return where the part begins that was asked for, None for the whole."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = not self.served.conditions or self.headers["If-Range"] == tag
        return int(asked[1]) if asked and self.served.ranges and same else None

    def _write(self, body):
        self.served.sent += len(body)
        with suppress(ConnectionError):  # the other side may have had enough
            self.wfile.write(body)

    def log_message(self, *_words):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serve the files of a `Server` on 127.0.0.1."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("MPIKIT_DATASETS_MIRROR", raising=False)
    served = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"served": served})) as running:
        served.address = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield served
        running.shutdown()
        thread.join()
