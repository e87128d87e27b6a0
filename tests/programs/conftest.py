"""Helm and promtool: found, downloaded or built, installed; no cluster."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from e2e.charts import documents
from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages
from e2e.testbed.host.progress import Progress
from tests.conftest import skip_or_fail

ROOT = Path(__file__).parents[2]
Render = Callable[..., list[dict[str, Any]]]


class HelmRefusedError(RuntimeError):
    """What Helm printed."""


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    try:
        program = Binaries()["helm"]
    except BinariesUnavailableError as error:
        skip_or_fail(str(error))

    def run(*args: str | Path, stdin: str = "") -> str:
        done = subprocess.run(
            [program, *args], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise HelmRefusedError(done.stderr + done.stdout)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., str]) -> Render:
    @cache
    def template(chart: str, path: Path | None, changes: str) -> bytes:
        text = helm(
            *("template", chart, ROOT / "helm" / chart, "--namespace=hansa-system"),
            *("--kube-version=1.37.2", f"--values={path}" if path else "--values=-", "--values=-"),
            stdin=changes,
        )
        return pickle.dumps(documents(text))  # a copy for each test: forty times as fast as YAML

    def rendered(chart: str, path: Path | None = None, **changes: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pickle.loads(
            template(chart, path, json.dumps(changes))
        )  # our own
        return found

    return rendered


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own checker; as root on Debian it is installed where it is missing."""
    try:
        if shutil.which("promtool") is None:
            ensure_packages(Progress(), ["prometheus"])
    except PackagesMissingError as error:
        skip_or_fail(f"promtool: {error}")
    return shutil.which("promtool") or "promtool"
