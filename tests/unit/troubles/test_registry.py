"""The testbed's registry gives an image to those who know its password, and nothing to others."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.testbed.build.layers import BlobStore
from e2e.troubles.registry import handler

DIGEST = "sha256:" + "a" * 64
GOOD = "league:mare"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = BlobStore(tmp_path_factory.mktemp("store"))
    blob: Path = store.path(DIGEST)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"{}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(store, GOOD))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(url: str, credentials: str = "", method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method)  # a server of ours
    if credentials:
        word = base64.b64encode(credentials.encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request) as answer:  # a server of ours
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


# Credentials, method, path; status, body.
ASKED: dict[str, tuple[str, str, str, int, bytes]] = {
    "a manifest": (GOOD, "GET", f"/v2/private/ray/manifests/{DIGEST}", 200, b"{}"),
    "a blob": (GOOD, "GET", f"/v2/private/ray/blobs/{DIGEST}", 200, b"{}"),
    "only its head": (GOOD, "HEAD", f"/v2/private/ray/manifests/{DIGEST}", 200, b""),
    "the API": (GOOD, "GET", "/v2/", 200, b""),
    "no password": ("", "GET", f"/v2/private/ray/manifests/{DIGEST}", 401, b""),
    "a wrong one": ("league:x", "GET", f"/v2/private/ray/blobs/{DIGEST}", 401, b""),
    "what is not there": (GOOD, "GET", f"/v2/a/blobs/sha256:{'b' * 64}", 404, b""),
    "a way out of the store": (GOOD, "GET", "/v2/a/blobs/../../etc/passwd", 404, b""),
}


@pytest.mark.parametrize("case", ASKED)
def test_pulls(url, case):
    credentials, method, path, status, body = ASKED[case]

    assert asked(url + path, credentials, method) == (status, body)
