"""containerd for the machines, with the images already in it.

Images are imported once, into a *template*: a containerd folder in the cache. A machine gets a
copy that costs milliseconds: the two small databases are copied, the blobs hard-linked, and the
unpacked layers symlinked, which also lets all machines share them in the page cache. A layer is
never written once unpacked (overlayfs copies up), so sharing it is safe, and a machine that cleans
up removes only its own links.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.images import PAUSE
from e2e.testbed.build.layers import BlobStore, Image, oci_archive
from e2e.testbed.host import processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.locks import locked
from e2e.testbed.host.packages import SYSTEM_PATH, system_program
from e2e.testbed.host.progress import Progress

SOCKET = "/run/containerd/containerd.sock"
_METADATA = "io.containerd.metadata.v1.bolt/meta.db"
_SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs"
_BLOBS = "io.containerd.content.v1.content/blobs/sha256"


class ContainerdError(RuntimeError):
    """containerd or its client failed."""


def cri_config(folder: Path) -> str:
    """Return the configuration of a machine's containerd."""
    return f"""version = 2
root = "{folder}/containerd"
state = "/run/containerd/state"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


class Template:
    """The containerd folder that machines are cloned from."""

    def __init__(self, progress: Progress) -> None:
        self.root = cache_root() / "containerd" / _containerd_version()
        self._progress = progress

    def ensure(self, images: Sequence[Image], store: BlobStore, *, prune: bool) -> None:
        """Import what is missing; ``prune`` old images only while no machine uses the layers."""
        note = self.root / "images"
        wanted = "\n".join(sorted(f"{image.name} {image.reference}" for image in images))
        with locked(self.root):
            self.root.mkdir(exist_ok=True)
            if note.exists() and note.read_text() == wanted:
                return
            note.unlink(missing_ok=True)
            with self._progress.step("import images"), self._daemon() as address:
                _import(images, store, address)
                if prune:
                    _prune(images, address)
            note.write_text(wanted)

    def clone(self, target: Path) -> None:
        """Make ``target`` a containerd folder that has all images."""
        with locked(self.root):
            for name in (_METADATA, f"{_SNAPSHOTS}/metadata.db"):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.root / name, target / name)
            (target / _BLOBS).mkdir(parents=True)
            for blob in (self.root / _BLOBS).iterdir():
                (target / _BLOBS / blob.name).hardlink_to(blob)
            snapshots = target / _SNAPSHOTS / "snapshots"
            snapshots.mkdir()
            for layer in (self.root / _SNAPSHOTS / "snapshots").iterdir():
                (snapshots / layer.name).symlink_to(layer)

    @contextmanager
    def _daemon(self) -> Iterator[str]:
        """Run a containerd on the template, without CRI and with mounts nobody else sees."""
        with tempfile.TemporaryDirectory(prefix="hansa-ctr-") as folder:
            config = Path(folder, "config.toml")
            config.write_text(
                f'version = 2\nroot = "{self.root}"\nstate = "{folder}/state"\n'
                'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                f'[grpc]\n  address = "{folder}/c.sock"\n[ttrpc]\n  address = "{folder}/t.sock"\n'
            )
            private = ["unshare", "--mount", "--propagation", "private"]
            daemon = processes.start(
                "containerd",
                [system_program("containerd"), "--config", config],
                log=Path(folder, "containerd.log"),
                env={"PATH": SYSTEM_PATH},
                enter=private,
                die_with_parent=True,
            )
            try:
                wait_for_socket(Path(folder, "c.sock"))
                yield f"{folder}/c.sock"
            finally:
                daemon.stop()


def replace_in_images(target: Path, file: str, body: bytes) -> int:
    """Give a cloned machine another file in its images, and leave the template and other machines as they are.

    ``target``: the machine's containerd folder; ``file``: path in the image, without a leading slash. The images
    keep their digests. Returns in how many layers the file was.
    """
    holding = [
        layer
        for layer in (target / _SNAPSHOTS / "snapshots").iterdir()
        if (layer / "fs" / file).is_file()
    ]
    for layer in holding:
        if layer.is_symlink():
            shared = layer.resolve()
            layer.unlink()
            shutil.copytree(shared, layer, symlinks=True)
        replaced = layer / "fs" / file
        new = replaced.with_name(f".{replaced.name}.new")
        new.write_bytes(body)
        shutil.copystat(replaced, new)
        new.replace(replaced)
    return len(holding)


def wait_for_socket(socket: Path) -> None:
    """Return once containerd answers on ``socket``."""
    wait_until(lambda: _answers(socket), what="containerd")


def _answers(socket: Path) -> bool:
    argv = [system_program("ctr"), "-a", str(socket), "version"]
    return (
        socket.exists() and subprocess.run(argv, capture_output=True, check=False).returncode == 0
    )


def _import(images: Sequence[Image], store: BlobStore, address: str) -> None:
    present = set(_ctr(address, "content", "ls", "-q").split())
    packing = oci_archive(images, store, lambda digest: digest not in present)
    argv = [system_program("ctr"), "-a", address, "-n", "k8s.io", "images", "import", "-"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as client:
        assert client.stdin is not None  # noqa: S101  # PIPE was asked for
        with tarfile.open(fileobj=client.stdin, mode="w|") as archive:
            packing.write(archive)
        client.stdin.close()
    if client.returncode:
        raise ContainerdError("ctr images import failed")
    for image in images:
        # The kubelet finds an image by digest only under a name that says so.
        _ctr(address, "images", "tag", "--force", image.name, image.reference)


def _prune(images: Sequence[Image], address: str) -> None:
    wanted = {name for image in images for name in (image.name, image.reference)}
    stale = set(_ctr(address, "images", "ls", "-q").split()) - wanted
    if stale:
        _ctr(address, "images", "rm", "--sync", *sorted(stale))


def _ctr(address: str, *args: str) -> str:
    argv = [system_program("ctr"), "-a", address, "-n", "k8s.io", *args]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContainerdError(f"ctr {' '.join(args[:2])}: {done.stderr.strip()}")
    return done.stdout


def _containerd_version() -> str:
    argv = [system_program("containerd"), "--version"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return printed.split()[2].replace(os.sep, "_")
