"""Installs charts with the real Helm, as a platform team would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e.testbed.binaries import Binaries

_TIMEOUT_S = 180


class HelmError(RuntimeError):
    """Helm refused; the message is what it printed."""


def upgrade_install(
    binaries: Binaries,
    kubeconfig: Path,
    *,
    release: str,
    chart: Path,
    namespace: str,
    values: Mapping[str, Any],
) -> None:
    """Run ``helm upgrade --install`` and wait until what it installed is ready."""
    argv = upgrade_args(release=release, chart=chart, namespace=namespace)
    run(binaries, kubeconfig, [*argv, "--values", "-"], stdin=json.dumps(values))


def upgrade_args(*, release: str, chart: Path, namespace: str) -> list[str]:
    """Return the arguments, values aside: what the tutorial shows is what runs."""
    place = ["--namespace", namespace, "--create-namespace"]
    return [
        "upgrade",
        "--install",
        release,
        str(chart),
        *place,
        "--wait",
        f"--timeout={_TIMEOUT_S}s",
    ]


def run(binaries: Binaries, kubeconfig: Path, args: Sequence[str], stdin: str = "") -> str:
    """Run Helm and return what it printed."""
    argv = [str(binaries["helm"]), "--kubeconfig", str(kubeconfig), *args]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(f"helm {' '.join(args[:3])}: {done.stderr.strip()}")
    return done.stdout
