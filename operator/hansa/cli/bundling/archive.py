"""The archive: charts, OCI archives of images, the list of images, and the digest of every file.

The same contents give the same bytes. What is verified is read and never unpacked: an archive came by a
disk in somebody's pocket.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from hansa.cli.bundling.charts import Chart, add
from hansa.cli.bundling.contents import Image
from hansa.errors import Terminal

SUMS, LIST = "SHA256SUMS", "images.json"
MOST_LIST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """What a verification found."""

    wrong: tuple[str, ...]
    missing: tuple[Image, ...]
    """Listed, and not in the archive."""
    images: tuple[Image, ...]
    """All that are listed."""
    files: int


def write(target: Path, charts: Sequence[Chart], images: Sequence[Image], folder: Path) -> None:
    """Write the archive; ``folder`` may hold images as their commands make them.

    Raises ``Terminal`` where a file there is not the image that its name says.
    """
    listed = json.dumps([asdict(image) for image in images], indent=2, sort_keys=True) + "\n"
    there = [image for image in images if (folder / image.file).is_file()]
    for image in there:
        with (folder / image.file).open("rb") as file:
            why = _objection(file, image)
        if why:
            raise Terminal(f"{folder / image.file}: {why}; make it again: {image.pull}")
    sums = {chart.file: chart.data for chart in charts}
    sums[LIST] = listed.encode()
    lines = {name: hashlib.sha256(data).hexdigest() for name, data in sums.items()}
    for image in there:
        with (folder / image.file).open("rb") as file:
            lines[image.file] = hashlib.file_digest(file, "sha256").hexdigest()
    said = "".join(f"{lines[name]}  {name}\n" for name in sorted(lines))
    with tarfile.open(target, "w") as archive:
        for name, data in sorted({**sums, SUMS: said.encode()}.items()):
            add(archive, name, io.BytesIO(data), len(data))
        for image in sorted(there, key=lambda one: one.file):
            path = folder / image.file
            with path.open("rb") as file:
                add(archive, image.file, file, path.stat().st_size)


def verify(path: Path) -> Found:
    """Return what is wrong with an archive, and which images it lists and does not hold."""
    try:
        with tarfile.open(path, "r:") as archive:
            return _verified(archive)
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise Terminal(f"{path} is no bundle: {error}") from error


def _verified(archive: tarfile.TarFile) -> Found:
    members = {one.name: one for one in archive.getmembers()}
    rows = (line.partition("  ") for line in _text(archive, SUMS).splitlines())
    said = {name: digest for digest, _, name in rows}
    images = tuple(Image(**row) for row in json.loads(_text(archive, LIST)))
    wrong = [f"{name}: not listed" for name in members.keys() - said.keys() - {SUMS}]
    wrong += [f"{name}: missing" for name in said.keys() - members.keys()]
    for name in sorted(said.keys() & members.keys()):
        file = archive.extractfile(members[name])
        if file is None or digest_of(file) != f"sha256:{said[name]}":
            wrong.append(f"{name}: its digest is another")
    for image in (one for one in images if one.file in members):
        file = archive.extractfile(members[image.file])
        why = _objection(file, image) if file else "no file"
        wrong += [f"{image.file}: {why}"] if why else []
    missing = tuple(image for image in images if image.file not in members)
    return Found(tuple(sorted(wrong)), missing, images, len(members))


def _objection(file: IO[bytes], image: Image) -> str:
    """Return why an OCI archive is not the image of that digest; empty: it is."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as layout:
            index = json.loads(_text(layout, "index.json"))
            digests = {str(row.get("digest")) for row in index["manifests"]}
            blobs = {f"sha256:{name}": one for name, one in _blobs(layout)}
            if digests != {image.digest}:
                return f"it holds {', '.join(sorted(digests))}, not {image.digest}"
            if image.digest not in blobs:
                return f"the manifest {image.digest} is not in it"
            for digest, member in blobs.items():
                content = layout.extractfile(member)
                if content is None or digest_of(content) != digest:
                    return f"its blob {digest} holds something else"
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"no OCI archive: {error}"
    return ""


def _blobs(layout: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in layout.getmembers():
        folder, _, name = member.name.removeprefix("./").rpartition("/")
        if folder == "blobs/sha256" and member.isfile():
            yield name, member


def digest_of(file: IO[bytes]) -> str:
    """Return the digest of a file, as registries write it."""
    return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a reader is one


def _text(archive: tarfile.TarFile, name: str) -> str:
    for spelled in (name, f"./{name}"):
        if spelled in archive.getnames():
            file = archive.extractfile(spelled)
            data = file.read(MOST_LIST_BYTES + 1) if file else b""
            if not data or len(data) > MOST_LIST_BYTES:
                break
            return data.decode()
    raise ValueError(f"{name} is missing, empty or too long")
