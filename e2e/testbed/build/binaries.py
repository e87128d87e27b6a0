"""Finds or makes the programs the testbed runs, and remembers where each came from.

Order: ``KUBEBUILDER_ASSETS`` and PATH (when the version fits), the cache, the official release,
a Go build of the pinned module. Only the last two take time; both fill the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from e2e.testbed.build import downloads, gobuild
from e2e.testbed.build.families import FAMILIES, FAMILY_OF, Family
from e2e.testbed.host.locks import locked
from e2e.testbed.host.progress import Progress

_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class BinariesUnavailableError(RuntimeError):
    """A program is neither installed nor cached, downloadable or buildable."""


def cache_root() -> Path:
    """Return the folder outside the checkout that keeps what is slow to make."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hansa"


@dataclass
class Binaries:
    """Paths of programs, found on first use."""

    root: Path = field(default_factory=cache_root)
    progress: Progress = field(default_factory=Progress)
    origins: dict[str, str] = field(default_factory=dict)
    """Binary name to a sentence on where it came from."""
    _paths: dict[str, Path] = field(default_factory=dict)

    def __getitem__(self, binary: str) -> Path:
        """Return the path of ``binary``, making it when it is nowhere."""
        if binary not in self._paths:
            self._paths[binary], self.origins[binary] = self._find(binary)
        return self._paths[binary]

    def ensure(self, *binaries: str) -> None:
        """Find or make every named program now, so that the wait happens in one place."""
        for binary in binaries:
            self[binary]

    def source_of(self, family_name: str) -> Path:
        """Return the source folder of a family's Go module (KubeRay's CRDs lie there)."""
        family = FAMILIES[family_name]
        module = self.root / "go" / family.folder
        with locked(module):
            gobuild.prepare_module(family, module)
            return gobuild.module_source(family, module)

    def _find(self, binary: str) -> tuple[Path, str]:
        family = FAMILY_OF[binary]
        if installed := find_installed(family, binary):
            return installed, f"installed at {installed}"
        cached = self.root / "bin" / family.folder / binary
        with locked(cached):
            if cached.exists():
                return cached, f"cached, {family.version}"
            return cached, self._make(family, binary, cached)

    def _make(self, family: Family, binary: str, target: Path) -> str:
        problems = []
        ways = {"downloaded": self._download, "built": self._build}
        for verb, way in ways.items():
            try:
                way(family, binary, target)
            except (downloads.DownloadError, gobuild.GoBuildError) as error:
                problems.append(str(error))
            else:
                return f"{verb}, {family.version}"
        reasons = "; ".join(problems)
        raise BinariesUnavailableError(f"cannot get {binary} {family.version}: {reasons}")

    def _download(self, family: Family, binary: str, target: Path) -> None:
        if family.release is None or not downloads.internet_reachable():
            raise downloads.DownloadError("no release download")
        with self.progress.step(f"download {binary} {family.version}"):
            downloads.download(family, binary, target)

    def _build(self, family: Family, binary: str, target: Path) -> None:
        if not gobuild.go_available():
            raise gobuild.GoBuildError("no Go tool on PATH to build it with")
        module = self.root / "go" / family.folder
        gobuild.build(family, [binary], module=module, target=target.parent, progress=self.progress)


def find_installed(family: Family, binary: str) -> Path | None:
    """Return a fitting program from ``KUBEBUILDER_ASSETS`` or PATH."""
    if not family.version_args:
        return None
    folders = [os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ.get("PATH", "")]
    for folder in filter(None, folders):
        found = shutil.which(binary, path=folder)
        if found and fits(family, _printed_version(Path(found), _version_args(family, binary))):
            return Path(found)
    return None


def fits(family: Family, printed: str) -> bool:
    """Return whether a printed version shares the family's leading numbers."""
    found, wanted = _NUMBER.search(printed), _NUMBER.search(family.version)
    if found is None or wanted is None:
        return False
    parts = family.matching_parts
    return found.groups()[:parts] == wanted.groups()[:parts]


def _version_args(family: Family, binary: str) -> tuple[str, ...]:
    return family.version_args_of.get(binary, family.version_args)


@cache
def _printed_version(path: Path, args: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [str(path), *args], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
