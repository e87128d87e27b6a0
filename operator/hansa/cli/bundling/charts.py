"""The charts of an archive: our own, packed here, and others' as their projects publish them, KubeRay's first of all."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from hansa.errors import Terminal

MOST_CHART_BYTES, MOST_VALUES_BYTES = 8 << 20, 1 << 20


@dataclass(frozen=True, slots=True)
class Chart:
    """One packed chart."""

    name: str
    data: bytes

    @property
    def file(self) -> str:
        """Path in the archive."""
        return f"charts/{self.name}.tgz"

    @property
    def named(self) -> str:
        """Path and digest."""
        return f"{self.file}@sha256:{hashlib.sha256(self.data).hexdigest()}"


def own_chart(folder: Path) -> Chart:
    """Return a chart of a checkout as ``helm install`` takes it, the same bytes whoever packs it."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            data = path.read_bytes()
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            add(archive, name, io.BytesIO(data), len(data))
    return Chart(folder.name, packed.getvalue())


def packed_chart(path: Path) -> tuple[Chart, str]:
    """Return a chart as ``helm pull`` leaves it, and the image that its values name.

    Raises ``Terminal`` for what is no chart, or names none.
    """
    data = path.read_bytes()
    try:
        with tarfile.open(fileobj=io.BytesIO(_unzipped(data)), mode="r:") as files:
            meta, values = (_read(files, name) for name in ("Chart.yaml", "values.yaml"))
        name, image = str(meta["name"]), values["image"]
        named = f"{image['repository']}:{image['tag']}"
    except (OSError, tarfile.TarError, yaml.YAMLError, EOFError, KeyError, TypeError) as error:
        raise Terminal(
            f"{path} is no packed chart with image.repository and image.tag among its values"
            f" ({error!r}): make it by `helm pull`"
        ) from error
    return Chart(name, data), named


def add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Put a file into an archive, with nothing of whoever packs it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    archive.addfile(info, content)


def _unzipped(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        found = stream.read(MOST_CHART_BYTES + 1)
    if len(found) > MOST_CHART_BYTES:
        raise OSError(f"more than {MOST_CHART_BYTES} bytes")
    return found


def _read(files: tarfile.TarFile, name: str) -> Any:
    """Return a document of the chart itself, not of one that it depends on."""
    path = next(one for one in files.getnames() if one.split("/")[1:] == [name])
    file = files.extractfile(path)
    return yaml.safe_load(file.read(MOST_VALUES_BYTES)) if file else None
