"""``hansa convert`` on KubeRay's own samples, as its source has them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.build.gobuild import GoBuildError
from hansa.api.aijob import AIJobSpec
from hansa.cli.convert.rayjob import SPEC, Choice, convert
from hansa.errors import Terminal
from tests.conftest import skip_or_fail

IMAGE = "registry.example/ray@sha256:" + "0" * 64
GIVEN = ("p", ("EU",), ("EU",))
TPU = "asks for google.com/tpu"
REFUSED = {TPU, "no entrypoint", "clusterSelector"}
"""All reasons for which samples of KubeRay are refused."""


@pytest.fixture(scope="module")
def samples() -> list[Path]:
    try:
        source = Binaries().source_of("kuberay")
    except (BinariesUnavailableError, GoBuildError) as error:
        skip_or_fail(str(error))
    return sorted((source / "config" / "samples").rglob("*.yaml"))


def _made(held: list[object], command: tuple[str, ...]) -> str:
    """Convert a sample; return why not, empty: it is jobs that an API server would take."""
    try:
        made = convert(held, Choice(*GIVEN, IMAGE, "2.55.0", entrypoint=command))
    except Terminal as refusal:
        return str(refusal)
    for one in made:
        AIJobSpec.model_validate(one.job["spec"])
    return ""


def test_samples_become_jobs_or_are_refused_by_name(samples):
    seen = Counter()
    for path in samples:
        held = list(yaml.safe_load_all(path.read_text()))
        kinds = [one["kind"] for one in held if isinstance(one, dict) and one.get("kind") in SPEC]
        if not kinds:
            continue
        refused = _made(held, ("python", "train.py") if kinds[0] == "RayCluster" else ())
        assert not refused or any(words in refused for words in REFUSED), f"{path.name}: {refused}"
        seen["refused" if refused else kinds[0]] += 1

    assert seen["RayJob"] >= 15
    assert sum(seen[kind] for kind in SPEC) >= 30
