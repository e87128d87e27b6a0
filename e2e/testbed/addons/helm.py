"""Installs charts with the real Helm, as a platform team would."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import TIMEOUT
from e2e.testbed.host.processes import MARKER


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
    marker: str = "",
) -> None:
    """Run ``helm upgrade --install`` and wait until what it installed is ready."""
    argv = upgrade_args(release=release, chart=chart, namespace=namespace)
    asked = [*argv, "--values", "-"]
    run(binaries, kubeconfig, asked, stdin=json.dumps(values), marker=marker)


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
        TIMEOUT,
    ]


def run(
    binaries: Binaries, kubeconfig: Path, args: Sequence[str], *, stdin: str = "", marker: str = ""
) -> str:
    """Run Helm and return what it printed; ``marker``: the testbed that it ends with."""
    argv = [str(binaries["helm"]), "--kubeconfig", str(kubeconfig), *args]
    env = os.environ | ({MARKER: marker} if marker else {})
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise HelmError(f"helm {' '.join(args[:3])}: {done.stderr.strip()}")
    return done.stdout
