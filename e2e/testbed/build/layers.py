"""Content-addressed image parts: layers, configs and manifests with their true SHA-256 digests.

There is no registry. Blobs lie in one folder under the cache, named by digest, so a layer is made
once however many images use it; a *key* (a hash of what went in) finds the layer again without
making it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EPOCH_S = 1_700_000_000
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of the blob folder."""

    digest: str
    """``sha256:…``"""
    size_bytes: int
    media_type: str

    def descriptor(self) -> dict[str, object]:
        """Return the OCI descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose blobs all lie in one store."""

    name: str
    """Repository and tag, such as ``hansa.local/hansa:dev``."""
    manifest: Blob
    blobs: tuple[Blob, ...]

    @property
    def reference(self) -> str:
        """``repository@sha256:…``, the only form an AIJob may use."""
        return f"{self.name.rsplit(':', 1)[0]}@{self.manifest.digest}"


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a container of the image starts."""

    entrypoint: Sequence[str] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def oci(self) -> dict[str, object]:
        """Return the ``config`` part of the image configuration."""
        env = [_PATH, *(f"{key}={value}" for key, value in self.env.items())]
        config: dict[str, object] = {"Env": env, "WorkingDir": self.workdir}
        if self.entrypoint:
            config["Entrypoint"] = list(self.entrypoint)
        if self.user:
            config["User"] = self.user
        return config


@dataclass(frozen=True, slots=True)
class BlobStore:
    """The blob folder and the index from keys to layers."""

    root: Path

    def path(self, digest: str) -> Path:
        """Return where the blob of ``digest`` lies."""
        return self.root / "blobs" / digest.replace(":", "/")

    def has(self, key: str) -> bool:
        """Return whether the layer of ``key`` is already there."""
        return self._known(key) is not None

    def layer(self, key: str, make: Callable[[tarfile.TarFile], None]) -> Blob:
        """Return the layer remembered under ``key``, letting ``make`` fill it the first time."""
        if known := self._known(key):
            return known
        partial = self.root / f".layer-{os.getpid()}.partial"
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
                make(archive)
            blob = self._adopt(partial)
        finally:
            partial.unlink(missing_ok=True)
        note = self._note(key)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps([blob.digest, blob.size_bytes]))
        return blob

    def image(self, name: str, layers: Sequence[Blob], runtime: Runtime) -> Image:
        """Put layers together to an image."""
        config = self._put(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": runtime.oci(),
                "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            },
            _CONFIG,
        )
        manifest = self._put(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor() for layer in layers],
            },
            _MANIFEST,
        )
        return Image(name, manifest, (manifest, config, *layers))

    def _note(self, key: str) -> Path:
        return self.root / "keys" / f"{key}.json"

    def _known(self, key: str) -> Blob | None:
        if not self._note(key).exists():
            return None
        digest, size = json.loads(self._note(key).read_text())
        return Blob(digest, size, _LAYER) if self.path(digest).exists() else None

    def _put(self, content: object, media_type: str) -> Blob:
        body = json.dumps(content, sort_keys=True).encode()
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        return Blob(digest, len(body), media_type)

    def _adopt(self, file: Path) -> Blob:
        with file.open("rb") as handle:
            digest = "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        return Blob(digest, target.stat().st_size, _LAYER)


def content_key(kind: str, parts: Iterable[str | bytes]) -> str:
    """Hash what a layer is made of into its key."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"{kind}-{digest.hexdigest()[:24]}"


def add_tree(archive: tarfile.TarFile, source: Path, target: str) -> None:
    """Add a folder under ``target``, owned by root, sorted, with a fixed date."""
    for path in sorted(source.rglob("*")):
        archive.add(path, f"{target}/{path.relative_to(source)}", recursive=False, filter=_plain)


def add_file(archive: tarfile.TarFile, source: Path, target: str) -> None:
    """Add one file as ``target``."""
    archive.add(source, target, recursive=False, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = _EPOCH_S
    return info


def oci_archive(
    images: Sequence[Image], store: BlobStore, absent: Callable[[str], bool]
) -> Packing:
    """Describe an OCI archive of ``images`` that leaves out blobs the receiver already has."""
    wanted = {b.digest: b for image in images for b in image.blobs}
    # Manifests and configs always travel: the receiver reads them from the archive.
    blobs = [b for b in wanted.values() if b.media_type != _LAYER or absent(b.digest)]
    index = {
        "schemaVersion": 2,
        "manifests": [
            image.manifest.descriptor() | {"annotations": {"io.containerd.image.name": image.name}}
            for image in images
        ],
    }
    return Packing(
        json.dumps(index).encode(), tuple((b.digest, store.path(b.digest)) for b in blobs)
    )


@dataclass(frozen=True, slots=True)
class Packing:
    """What an OCI archive will hold."""

    index: bytes
    blobs: tuple[tuple[str, Path], ...]

    def write(self, archive: tarfile.TarFile) -> None:
        """Write the archive."""
        add_bytes(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for digest, path in self.blobs:
            archive.add(path, f"blobs/{digest.replace(':', '/')}")
        add_bytes(archive, "index.json", self.index)


def add_bytes(archive: tarfile.TarFile, name: str, body: bytes, mode: int = 0o644) -> None:
    """Add a file that exists only in memory."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(body), _EPOCH_S, mode
    archive.addfile(info, io.BytesIO(body))
