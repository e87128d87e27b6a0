"""What the images are filled with: a Debian base system and Python packages, kept in the cache."""

from __future__ import annotations

import py_compile
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import IO

from e2e.testbed.build.layers import add_bytes, add_file, add_tree
from e2e.testbed.host.packages import system_program

SUITE = "bookworm"
INCLUDED = "python3,ca-certificates,wget,procps"
PYTHON = (3, 11)
DIST_PACKAGES = "usr/local/lib/python3.11/dist-packages"
USER_ID = 65532
_PASSWD = f"hansa:x:{USER_ID}:{USER_ID}::/home/hansa:/bin/sh\n"


class ImageBuildError(RuntimeError):
    """An image could not be made; the message says what to do."""


def add_base_system(archive: tarfile.TarFile) -> None:
    """Bootstrap a minimal Debian and add it, with the unprivileged user the images run as."""
    with tempfile.TemporaryDirectory(prefix="hansa-rootfs-") as folder:
        _bootstrap(Path(folder))
        _add_user(Path(folder))
        add_system(archive, Path(folder))


def add_system(archive: tarfile.TarFile, folder: Path) -> None:
    """Add a whole tree as it is: device nodes, hard links, owners."""
    with _tar_of(folder) as packed, tarfile.open(fileobj=packed) as system:
        for info in system:
            archive.addfile(info, system.extractfile(info) if info.isreg() else None)


def add_python_packages(archive: tarfile.TarFile, requirements: str) -> None:
    """Install a hash-checked requirements text for the base system's Python and add the result."""
    if sys.version_info[:2] != PYTHON:
        raise ImageBuildError("run this with Python 3.11: wheels are chosen for the host's Python")
    with tempfile.TemporaryDirectory(prefix="hansa-pip-") as folder:
        target = Path(folder, "packages")
        listing = Path(folder, "requirements.txt")
        listing.write_text(requirements)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        _run([*pip, "--require-hashes", "--target", str(target), "-r", str(listing)])
        _compile(target)
        _add_scripts(archive, target / "bin")
        shutil.rmtree(target / "bin", ignore_errors=True)
        add_tree(archive, target, DIST_PACKAGES)


def add_module(archive: tarfile.TarFile, source: Path, target: str) -> None:
    """Add a Python file and its bytecode: containers cannot write it, and start often."""
    add_file(archive, source, target)
    with tempfile.TemporaryDirectory(prefix="hansa-pyc-") as folder:
        compiled = Path(folder, "module.pyc")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(
            str(source), str(compiled), dfile=f"/{target}", doraise=True, invalidation_mode=mode
        )
        add_file(archive, compiled, cache_from_source(target))


def _bootstrap(folder: Path) -> None:
    argv = [system_program("debootstrap"), "--variant=minbase", f"--include={INCLUDED}"]
    _run([*argv, SUITE, str(folder)])
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(folder / waste, ignore_errors=True)
    for log in (folder / "var/log").rglob("*.log"):
        log.unlink()


def _add_user(folder: Path) -> None:
    home = folder / "home/hansa"
    home.mkdir(parents=True)
    shutil.chown(home, USER_ID, USER_ID)
    with (folder / "etc/passwd").open("a") as passwd:
        passwd.write(_PASSWD)
    with (folder / "etc/group").open("a") as group:
        group.write(f"hansa:x:{USER_ID}:\n")


def _tar_of(folder: Path) -> IO[bytes]:
    """Let GNU tar walk the tree: it keeps device nodes, hard links and owners right."""
    output = tempfile.TemporaryFile(prefix="hansa-tar-")  # noqa: SIM115  # the caller closes it
    argv = ["tar", "--create", "--sort=name", "--numeric-owner", "--directory", str(folder), "."]
    subprocess.run(argv, stdout=output, check=True)
    output.seek(0)
    return output


def _compile(target: Path) -> None:
    """Byte-compile once, unchecked: containers run with a read-only root file system."""
    argv = [sys.executable, "-m", "compileall", "-q", "-f", "-j", "0"]
    mode = ["--invalidation-mode", "unchecked-hash"]
    subprocess.run([*argv, *mode, str(target)], check=False, capture_output=True)


def _add_scripts(archive: tarfile.TarFile, folder: Path) -> None:
    for script in sorted(folder.glob("*")):
        body = script.read_bytes()
        if body.startswith(b"#!") and b"python" in body.split(b"\n", 1)[0]:
            body = b"#!/usr/bin/python3\n" + body.split(b"\n", 1)[1]
        add_bytes(archive, f"usr/local/bin/{script.name}", body, 0o755)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr)[-2000:]
        raise ImageBuildError(f"{' '.join(argv[:4])} … failed:\n{output}")
