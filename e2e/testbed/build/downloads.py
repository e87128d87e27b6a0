"""Fetches official release binaries, and finds out quickly when there is no internet.

Every download is checked against the publisher's checksum file before it is used.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import urllib.request
from functools import cache
from pathlib import Path

from e2e.testbed.build.families import Family, Release

_CONNECT_S = 2.0
_READ_S = 120.0
_PROBE = "https://dl.k8s.io/"
_SHA256 = re.compile(r"\b([0-9a-f]{64})\b")


class DownloadError(RuntimeError):
    """The release could not be fetched or did not match its checksum."""


@cache
def internet_reachable(probe: str = _PROBE) -> bool:
    """Ask once a process, and give up after two seconds, name lookup included."""
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_answers(probe)), daemon=True)
    asking.start()
    asking.join(_CONNECT_S)
    return bool(answers and answers[0])


def download(family: Family, binary: str, target: Path) -> None:
    """Put ``binary`` of the family's official release at ``target``."""
    if family.release is None:
        raise DownloadError(f"{family.name} publishes no release binaries")
    release = _filled(family.release, family, binary)
    body = _fetch(release.url)
    expected = checksum_for(_fetch(release.checksums).decode(), release.url.rsplit("/", 1)[1])
    if hashlib.sha256(body).hexdigest() != expected:
        raise DownloadError(f"{release.url} does not match {release.checksums}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_bytes(_unpacked(body, release.member))
    partial.chmod(0o755)
    partial.rename(target)


def checksum_for(listing: str, asset: str) -> str:
    """Return the digest of ``asset`` in a checksum file of one bare digest or many named ones."""
    lines = [line for line in listing.splitlines() if line.split()[-1:] == [asset]]
    found = _SHA256.search("\n".join(lines) or listing)
    if found is None:
        raise DownloadError(f"no SHA-256 for {asset} in its checksum file")
    return found.group(1)


def _filled(release: Release, family: Family, binary: str) -> Release:
    words = {"version": family.version, "number": family.version[1:], "binary": binary}
    return Release(
        url=release.url.format(**words),
        checksums=release.checksums.format(**words),
        member=release.member.format(**words),
    )


def _unpacked(body: bytes, member: str) -> bytes:
    if not member:
        return body
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        inner = archive.extractfile(member)
        if inner is None:
            raise DownloadError(f"the archive holds no file {member}")
        return inner.read()


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_READ_S) as answer:  # noqa: S310  # https URLs of families.py
            body: bytes = answer.read()
            return body
    except OSError as error:
        raise DownloadError(f"{url}: {error}") from error


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  # an https constant
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_S):  # noqa: S310  # same
            return True
    except OSError:
        return False
