"""The images of the testbed: Hansa's own, a Ray job image, KubeRay, CoreDNS and pause.

No registry and no Docker: each image is a list of cached layers. Only the layer with Hansa's
source changes from one run to the next, and it takes a second to make.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from e2e.testbed.build import rootfs
from e2e.testbed.build.binaries import Binaries, cache_root
from e2e.testbed.build.layers import (
    Blob,
    BlobStore,
    Image,
    Runtime,
    add_bytes,
    add_file,
    content_key,
)
from e2e.testbed.host.locks import locked
from e2e.testbed.host.progress import Progress

REPOSITORY = Path(__file__).resolve().parents[3]
HANSA = "hansa.local/hansa:dev"
RAY = "hansa.local/ray-sklearn:2.60.0"
KUBERAY = "hansa.local/kuberay-operator:v1.6.1"
COREDNS = "hansa.local/coredns:v1.15.0"
PAUSE = "hansa.local/pause:bookworm"

_USER = f"{rootfs.USER_ID}:{rootfs.USER_ID}"
_HOME = {"HOME": "/home/hansa", "PYTHONDONTWRITEBYTECODE": "1"}
_RAY = {"USER": "hansa", "RAY_USAGE_STATS_ENABLED": "0"}


class ImageBuilder:
    """Makes images into the cache's blob store."""

    def __init__(self, binaries: Binaries, progress: Progress) -> None:
        self.store = BlobStore(cache_root() / "images")
        self._binaries = binaries
        self._progress = progress

    def all(self) -> dict[str, Image]:
        """Return every image by name, making what is not cached."""
        with self._progress.step("images"), locked(self.store.root):
            images = [self.pause(), self.coredns(), self.kuberay(), self.hansa(), self.ray()]
        return {image.name: image for image in images}

    def pause(self) -> Image:
        """Return the sandbox image: the base system asleep, so it costs no layer of its own."""
        return self.store.image(PAUSE, [self._base()], Runtime(["/bin/sleep", "infinity"]))

    def coredns(self) -> Image:
        """Return CoreDNS: one static binary."""
        layer = self._binary("coredns", "coredns")
        return self.store.image(COREDNS, [layer], Runtime(["/coredns"]))

    def kuberay(self) -> Image:
        """Return the KubeRay operator: one static binary."""
        layer = self._binary("manager", "manager")
        return self.store.image(KUBERAY, [layer], Runtime(["/manager"], user=_USER))

    def hansa(self) -> Image:
        """Return Hansa's own image: base, dependencies, source."""
        lock = (REPOSITORY / "requirements" / "runtime.lock").read_text()
        layers = [self._base(), self._python("hansa dependencies", lock), self._source()]
        return self.store.image(HANSA, layers, Runtime(["hansa"], user=_USER, env=_HOME))

    def ray(self) -> Image:
        """Return the image Ray jobs run in: base, Ray with scikit-learn, the example programs."""
        lock = (Path(__file__).parent / "ray.lock").read_text()
        layers = [self._base(), self._python("ray and scikit-learn", lock), self._programs()]
        runtime = Runtime(user=_USER, env=_HOME | _RAY, workdir="/home/hansa")
        return self.store.image(RAY, layers, runtime)

    def _base(self) -> Blob:
        key = content_key("base", [rootfs.SUITE, rootfs.INCLUDED, _USER])
        return self._layer("base system (debootstrap)", key, rootfs.add_base_system)

    def _python(self, title: str, lock: str) -> Blob:
        key = content_key("python", [rootfs.DIST_PACKAGES, "unchecked-hash", lock])
        return self._layer(title, key, partial(rootfs.add_python_packages, requirements=lock))

    def _binary(self, binary: str, name: str) -> Blob:
        path = self._binaries[binary]
        state = path.stat()
        key = content_key("binary", [str(path), str(state.st_size), str(state.st_mtime_ns)])
        return self._layer(name, key, lambda archive: add_file(archive, path, name))

    def _source(self) -> Blob:
        package, crds = REPOSITORY / "operator" / "hansa", REPOSITORY / "crds"
        files = {
            p: f"{rootfs.DIST_PACKAGES}/hansa/{p.relative_to(package)}"
            for p in _source_files(package)
        }
        files |= {
            p: f"{rootfs.DIST_PACKAGES}/hansa/_crds/{p.name}" for p in sorted(crds.glob("*.yaml"))
        }
        scripts = {
            name: _console_script("hansa.cli.main:main") for name in ("hansa", "kubectl-hansa")
        }
        return self._files("hansa source", files, scripts)

    def _programs(self) -> Blob:
        folder = REPOSITORY / "docs" / "examples" / "programs"
        files = {p: f"opt/hansa/examples/{p.name}" for p in sorted(folder.glob("*.py"))}
        return self._files("example programs", files, {})

    def _files(self, title: str, files: dict[Path, str], scripts: dict[str, bytes]) -> Blob:
        def fill(archive: tarfile.TarFile) -> None:
            for name, body in scripts.items():
                add_bytes(archive, f"usr/local/bin/{name}", body, 0o755)
            for path, target in files.items():
                add = rootfs.add_module if path.suffix == ".py" else add_file
                add(archive, path, target)

        parts: list[str | bytes] = [title, *(f"{k}{v!r}" for k, v in scripts.items())]
        for path, target in files.items():
            parts += [target, path.read_bytes()]
        return self._layer(title, content_key("compiled-files", parts), fill)

    def _layer(self, title: str, key: str, make: Callable[[tarfile.TarFile], None]) -> Blob:
        if self.store.has(key):
            return self.store.layer(key, make)
        with self._progress.step(f"layer: {title}"):
            return self.store.layer(key, make)


def _source_files(package: Path) -> Iterable[Path]:
    found = (p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sorted(p for p in found if p.suffix != ".pyc")


def _console_script(target: str) -> bytes:
    module, function = target.split(":")
    return f"#!/usr/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n".encode()
