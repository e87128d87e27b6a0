"""What an index may answer: the lines that a run gives pip, read by the real pip, against servers as there are.

HTTPS is left out (pip's, too): the address is a loopback's, and all that is looked at is who is asked for what.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request

WHEEL = "toy-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n"
PIP_S = 120


def _wheel() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("toy.py", "")
        made.writestr("toy-1.0.dist-info/METADATA", METADATA)
        made.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        made.writestr("toy-1.0.dist-info/RECORD", "")
    return held.getvalue()


BYTES = _wheel()
HASH = hashlib.sha256(BYTES).hexdigest()
PAGE = f'<!DOCTYPE html><html><body><a href="{{}}/{WHEEL}#sha256={HASH}" {{}}>{WHEEL}</a></body></html>'
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def _json(base: str) -> str:
    file = {"filename": WHEEL, "url": f"{base}/{WHEEL}", "hashes": {"sha256": HASH}}
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "toy", "files": [file]})


# Kind of index → page of the package, its type; and whether the wheel can be had of it.
INDEXES = {
    "HTML with relative links": (PAGE.format("../../files", ""), "text/html", True),
    "HTML with links from the root, gzip": (PAGE.format("/root/files", ""), "text/html", True),
    "JSON": (_json("../../files"), JSON_TYPE, True),
    "metadata beside the file (PEP 658)": (
        PAGE.format("../../files", 'data-dist-info-metadata="true"'),
        "text/html",
        True,
    ),
    "another host for files, as pypi.org": (
        PAGE.format("http://files.invalid/packages", ""),
        "text/html",
        False,
    ),
}


class Index:
    """A server with one package, which remembers what it was asked for."""

    def __init__(self, page: str, kind: str, *, zipped: bool) -> None:
        asked: list[str] = []

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if self.path == "/root/simple/toy/":
                    self._send(page.encode(), kind, zipped=zipped)
                elif self.path == "/root/moved/toy/":
                    self.send_response(302)
                    self.send_header("Location", "/root/simple/toy/")
                    self.end_headers()
                elif self.path == f"/root/files/{WHEEL}":
                    self._send(BYTES, "application/octet-stream")
                elif self.path == f"/root/files/{WHEEL}.metadata":
                    self._send(METADATA.encode(), "text/plain")
                else:
                    self.send_error(404)

            def _send(self, body: bytes, kind: str, *, zipped: bool = False) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                if zipped:
                    body = gzip.compress(body)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def fetched(index: Index, folder: Path, path: str = "root/simple") -> bool:
    """Let pip fetch what a run's lines ask for; tell whether it got it."""
    law = {"packageIndex": {"host": "pypi.example.org", "address": "192.0.2.7", "path": path}}
    wanted = request(law, runtimeEnv={"pip": f"toy==1.0 --hash=sha256:{HASH}\n"})
    lines = json.loads(rendered(wanted)["RayJob"]["spec"]["runtimeEnvYAML"])["pip"]["packages"]
    text = "\n".join(lines).replace("https://pypi.example.org:443", index.address)
    (folder / "lines.txt").write_text(text)
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "download"]
    options = [
        "--no-cache-dir",
        "--retries",
        "0",
        "--timeout",
        "5",
        "-r",
        str(folder / "lines.txt"),
        "-d",
        str(folder),
    ]
    subprocess.run([*command, *options], check=False, capture_output=True, timeout=PIP_S)
    return (folder / WHEEL).exists()


@pytest.mark.parametrize("case", INDEXES)
def test_an_index_serves_what_pip_reads(case, tmp_path):
    page, kind, is_had = INDEXES[case]
    index = Index(page, kind, zipped="gzip" in case)
    try:
        assert fetched(index, tmp_path) is is_had
    finally:
        index.close()
    assert "/root/simple/toy/" in index.asked


def test_it_may_send_pip_on_to_itself(tmp_path):
    index = Index(*INDEXES["JSON"][:2], zipped=False)
    try:
        assert fetched(index, tmp_path, "root/moved")
    finally:
        index.close()
