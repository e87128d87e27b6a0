"""The TLS context and bearer token of one identity, read again when their files change.

A member's certificate renews itself and a pod's token rotates every hour; neither may need a restart.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from hansa.adapters.kube.authorities import certificates
from hansa.adapters.kube.config import Connection
from hansa.errors import Terminal
from hansa.ports import Clock

CHECK_EVERY_S = 1.0


class Credentials:
    """What a request needs to be trusted and to trust. Not thread-safe: one event loop owns it."""

    def __init__(self, connection: Connection, *, clock: Clock) -> None:
        """Read everything once; raises ``Terminal`` when a file is missing or malformed."""
        self._connection = connection
        self._clock = clock
        self._checked = clock.monotonic()
        self._seen = self._stamp()
        self._load()

    @property
    def tls(self) -> ssl.SSLContext | bool:
        """The TLS context, or False for a plain ``http://`` server."""
        return self._tls

    @property
    def headers(self) -> dict[str, str]:
        """Authorization header, or nothing."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def refresh(self, *, force: bool = False) -> None:
        """Re-read the files when one changed; keep the old ones when they are half written."""
        now = self._clock.monotonic()
        if not force and now - self._checked < CHECK_EVERY_S:
            return
        self._checked = now
        stamp = self._stamp()
        if stamp == self._seen and not force:
            return
        try:
            self._load()
        except Terminal:
            return
        self._seen = stamp

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        place = self._connection
        files = (place.ca_file, place.certificate_file, place.key_file, place.token_file)
        return tuple(_stat(path) for path in files if path is not None)

    def _load(self) -> None:
        try:
            tls = _context(self._connection)
            token = _token(self._connection)
        except (OSError, ssl.SSLError, TypeError, ValueError) as error:
            raise Terminal(f"cannot load credentials: {error}", reason="BadCredentials") from error
        self._tls, self._token = tls, token


def _stat(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, 0)
    return (facts.st_mtime_ns, facts.st_ino)


def _token(place: Connection) -> str:
    if place.token_file is not None:
        token = place.token_file.read_text().strip()
        if not token:
            raise ValueError(f"{place.token_file} is empty")
        return token
    if place.token_command is not None:
        return place.token_command()
    return place.token


def _context(place: Connection) -> ssl.SSLContext | bool:
    if not place.server.startswith("https://"):
        return False
    context = ssl.create_default_context(
        cafile=str(place.ca_file) if place.ca_file else None,
        cadata=certificates(place.ca_pem) if place.ca_pem else None,
    )
    if place.certificate_file is not None:
        context.load_cert_chain(place.certificate_file, place.key_file)
    elif place.certificate_pem:
        _load_inline_chain(context, place.certificate_pem + "\n" + place.key_pem)
    return context


def _load_inline_chain(context: ssl.SSLContext, pem: str) -> None:
    # OpenSSL reads chains from files only; this one is 0600 and gone before the call returns.
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "w") as file:
            file.write(pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
