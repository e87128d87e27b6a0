"""A registry that asks for a password: images of the testbed's store over HTTP, read only.

``python -m e2e.troubles.registry STORE PORT USER:PASSWORD``. It listens on loopback, which containerd asks in the clear.
"""

from __future__ import annotations

import base64
import hmac
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfileobj

from e2e.testbed.build.layers import BlobStore

_PATH = re.compile(r"/v2/[a-z0-9/-]+/(manifests|blobs)/(sha256:[0-9a-f]{64})")
_TYPES = {
    "manifests": "application/vnd.oci.image.manifest.v1+json",
    "blobs": "application/octet-stream",
}


def handler(store: BlobStore, credentials: str) -> type[BaseHTTPRequestHandler]:
    """Return the handler for one store; ``credentials``: ``user:password``."""
    wanted = "Basic " + base64.b64encode(credentials.encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        """Answers what the OCI distribution specification asks of a pull by digest."""

        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:  # the library's name
            """Tell of a manifest or a blob."""
            self._answer()

        def do_GET(self) -> None:  # the library's name
            """Send a manifest or a blob."""
            found = self._answer()
            if found is not None:
                with found.open("rb") as blob:
                    copyfileobj(blob, self.wfile)

        def _answer(self) -> Path | None:
            asked = _PATH.fullmatch(self.path)
            found = store.path(asked[2]) if asked else None
            if not hmac.compare_digest(self.headers.get("Authorization") or "", wanted):
                challenge = {"WWW-Authenticate": 'Basic realm="registry"'}
                self._head(HTTPStatus.UNAUTHORIZED, 0, challenge)
            elif self.path == "/v2/":
                self._head(HTTPStatus.OK, 0, {})
            elif asked is None or found is None or not found.is_file():
                self._head(HTTPStatus.NOT_FOUND, 0, {})
            else:
                kind = {"Content-Type": _TYPES[asked[1]], "Docker-Content-Digest": asked[2]}
                self._head(HTTPStatus.OK, found.stat().st_size, kind)
                return found
            return None

        def _head(self, status: HTTPStatus, size: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(size))
            self.end_headers()

    return Handler


def main() -> None:
    """Serve until the process ends."""
    root, port, credentials = sys.argv[1:]
    store = BlobStore(Path(root))
    ThreadingHTTPServer(("127.0.0.1", int(port)), handler(store, credentials)).serve_forever()


if __name__ == "__main__":
    main()
