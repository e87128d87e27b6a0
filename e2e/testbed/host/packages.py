"""Debian packages the `local` provider and the tests need, installed when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection

from e2e.testbed.host.progress import Progress

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "ethtool": "ethtool",
    "socat": "socat",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",
    "prometheus": "prometheus",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
"""A file or program to the package that carries it."""
JUDGES = {"pg_ctlcluster": "postgresql", "hledger": "hledger", "bean-check": "beancount"}
"""The same, of what only the ledger's tests and benchmark run."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian's own programs first: foreign containerd shims on PATH do not fit its containerd."""


class PackagesMissingError(RuntimeError):
    """A needed package is absent and cannot be installed by us."""


def missing_packages(wanted: Collection[str] = frozenset(PACKAGES.values())) -> list[str]:
    """Return the packages whose program is not there."""
    known = PACKAGES | JUDGES
    absent = {package for program, package in known.items() if not _present(program)}
    return sorted(absent.intersection(wanted))


def ensure_packages(
    progress: Progress, wanted: Collection[str] = frozenset(PACKAGES.values())
) -> None:
    """Install what is missing of ``wanted``; needs root and apt-get only if something is."""
    missing = missing_packages(wanted)
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise PackagesMissingError(f"install these packages first: {' '.join(missing)}")
    with progress.step(f"apt-get install {' '.join(missing)}"):
        _apt("update", "-qq")
        _apt("install", "-qq", "--yes", "--no-install-recommends", *missing)
    _stop_services()


def system_program(name: str) -> str:
    """Return the full path of a Debian program."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise PackagesMissingError(f"{name} is not installed")
    return found


def _present(program: str) -> bool:
    return shutil.which(program, path=SYSTEM_PATH) is not None


def _apt(*args: str) -> None:
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *args], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagesMissingError(f"apt-get {args[0]} failed: {done.stderr.strip()[-1000:]}")


def _stop_services() -> None:
    """Stop the daemons Debian starts on installation: the testbed runs its own."""
    if shutil.which("systemctl"):
        units = ["containerd", "prometheus", "postgresql"]
        subprocess.run(["systemctl", "disable", "--now", *units], capture_output=True, check=False)
