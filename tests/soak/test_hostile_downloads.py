"""Servers that mean harm: they lead elsewhere, name other files, and send without end."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("pooch")

from mpikit.datasets import Dataset, fetch
from mpikit.errors import InputError, UsageError

LIMIT = 400_000  # bytes: four times the size that the catalogue knows


class Handler(BaseHTTPRequestHandler):
    """Answer as the dict of the test says."""

    script: dict

    def do_GET(self):
        self.send_response(self.script.get("status", 200))
        for name, value in self.script.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            for _ in range(self.script.get("pieces", 1)):
                self.wfile.write(self.script.get("body", b"abc"))
                self.script["sent"] = self.script.get("sent", 0) + len(self.script.get("body", b"abc"))

    def log_message(self, *_words):
        pass


@pytest.fixture
def script(monkeypatch):
    """What the server on this machine does."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("MPIKIT_DATASETS_MIRROR", raising=False)
    said: dict = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"script": said})) as running:
        said["address"] = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield said
        running.shutdown()
        thread.join()


def dataset(script, **facts) -> Dataset:
    known = {
        "name": "scan",
        "kind": "measurement",
        "summary": "",
        "file": "some/scan.mdf",
        "size": LIMIT // 4,
    }
    return Dataset(**{**known, "url": f"{script['address']}/scan.mdf", **facts})


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd", "ftp://example.org/a", "data:text/plain,abc", "javascript:alert(1)", "gopher://a/b",
        "http://example.org/a", "http://169.254.169.254/latest", "//example.org/a", "http://[::ffff:127.0.0.1]/a",
        "https://", "http://127.0.0.1:99999/", "\x00",
    ],
)  # fmt: skip
def test_a_redirection_leads_nowhere_else(script, tmp_path, place):
    script |= {"status": 302, "headers": {"Location": place}}
    with pytest.raises(InputError):
        fetch(dataset(script), folder=tmp_path)
    assert left(tmp_path) == []


def test_a_stream_without_end_is_cut(script, tmp_path):
    script |= {"body": bytes(100_000), "pieces": 10_000}
    with pytest.raises(InputError, match="sends more than"):
        fetch(dataset(script), folder=tmp_path)
    assert left(tmp_path) == []
    assert script["sent"] < 100 * LIMIT  # what the system holds in its buffers comes on top


@pytest.mark.parametrize("length", ["-5", "1e9", "9" * 20, "9" * 5000, "3, 4", "", "abc", "2", "\u0663"])
def test_an_odd_length(script, tmp_path, length):
    """It is refused, or what comes is what is kept; never more than is allowed."""
    script |= {"headers": {"Content-Length": length.encode("utf-8").decode("latin-1")}}
    try:
        found = fetch(dataset(script), folder=tmp_path)
    except InputError:
        assert "scan.mdf" not in left(tmp_path)
    else:
        assert found.read_bytes() in {b"abc", b"ab"}


def test_a_number_without_end_in_place_of_a_part(script, tmp_path):
    """It was told as a wrong hash, of a file of which none was known."""
    wanted = dataset(script)
    place = tmp_path / wanted.file
    place.parent.mkdir(parents=True)
    part = place.with_name("scan.mdf.part")
    part.write_bytes(b"ab")
    known = {"url": wanted.url, "validator": '"a"', "total": 3}
    part.with_name("scan.mdf.part.json").write_text(json.dumps(known))
    many = "9" * 5000
    script |= {"status": 206, "headers": {"Content-Range": f"bytes {many}-{many}/{many}", "ETag": '"a"'}}
    assert fetch(wanted, folder=tmp_path).read_bytes() == b"abc"


@pytest.mark.parametrize("where", ["http://[", "https://[::1", "http://127.0.0.1:port/"])
def test_a_redirection_to_no_address(script, tmp_path, where):
    script |= {"status": 302, "headers": {"Location": where}}
    with pytest.raises(InputError, match="cannot be fetched") as told:
        fetch(dataset(script), folder=tmp_path)
    assert "hash" not in str(told.value)


def test_the_server_names_no_file(script, tmp_path):
    name = 'attachment; filename="../../evil"'
    script |= {
        "headers": {"Content-Disposition": name, "Content-Location": "../../evil", "Content-Length": "3"}
    }
    assert fetch(dataset(script), folder=tmp_path / "cache") == tmp_path / "cache" / "some" / "scan.mdf"
    assert left(tmp_path) == ["scan.mdf", "scan.mdf.json"]


@pytest.mark.parametrize(
    "file", ["../a", "/etc/a", "a/../../b", "a//b", "a\\..\\b", "C:/a", "", "a/", ".", "~/a", "a\x00"]
)
def test_a_place_outside_the_cache_is_no_data_set(script, file):
    with pytest.raises(UsageError):
        dataset(script, file=file)


def test_a_wrong_hash_leaves_nothing(script, tmp_path):
    script |= {"headers": {"Content-Length": "3"}}
    with pytest.raises(InputError, match="removed again"):
        fetch(dataset(script, official_hash="sha256:" + "0" * 64), folder=tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("text", ["[" * 100_000, "null", '{"url": 1}', '{"hash": []}', "\ud800"])
def test_a_receipt_from_elsewhere(script, tmp_path, text):
    script |= {"headers": {"Content-Length": "3"}}
    fetch(dataset(script), folder=tmp_path)
    (tmp_path / "some" / "scan.mdf.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"holds the hash|holds no hash"):
        fetch(dataset(script), folder=tmp_path)
