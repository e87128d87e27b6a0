"""Shared fixtures: a real control plane once a session, and an honest account of what was skipped."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError, cache_root
from e2e.testbed.providers.local import require_root_on_linux
from e2e.testbed.providers.provider import ProviderUnavailableError
from tests.seeds import drawn

# No test asserts a duration, so neither does hypothesis: machines are noisy.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")
# A quarter of an API server's work is collecting garbage; machines that run tests have the memory.
os.environ.setdefault("GOGC", "400")
# Outside the checkout, so that a clean clone need not compile the kernel again.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_root() / "numba"))
os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", "tests.kernel_cache.AnyCheckout")
# What it knows of letters and of our sources: a clean clone need not find it out again in every process.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(cache_root() / "hypothesis"))
_path = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")  # child processes need it
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _path))


def skip_or_fail(reason: str) -> None:
    """Skip on a developer's machine; in CI a test that cannot run is a failure."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"not skippable in CI: {reason}")
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Trace nothing that hypothesis draws: it takes twice as long, and what is covered would hang on a draw."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make only: of the rest there is so much that it takes a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The programs of the testbed; makes what is missing."""
    if sys.platform != "linux":
        skip_or_fail("real API servers need Linux")
    found = Binaries()
    try:
        found.ensure("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
    except BinariesUnavailableError as error:
        skip_or_fail(str(error))
    return found


@pytest.fixture(scope="session")
def root_on_linux() -> None:
    """Real pods need root on Linux."""
    try:
        require_root_on_linux()
    except ProviderUnavailableError as error:
        skip_or_fail(str(error))


@pytest.fixture
def lot(request: pytest.FixtureRequest) -> int:
    """A seed drawn anew, and printed. What is tried once more gets the same: what is wrong fails again."""
    noted, cache = f"hansa/lots/{request.node.nodeid}", getattr(request.config, "cache", None)
    before = cache.get(noted, None) if cache and os.environ.get("HANSA_ONCE_MORE") else None
    seed = int(os.environ.get("HANSA_SEED", drawn() if before is None else before))
    if cache:
        cache.set(noted, seed)
    print(f"HANSA_SEED={seed}")  # noqa: T201  # how to play it again
    return seed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured and what was skipped, where nobody can miss it."""
    _tell_figures(terminalreporter)
    _count_skipped(terminalreporter)


def _tell_figures(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests noted by ``record_property``, whichever process they ran in."""
    reports = terminalreporter.stats.get("passed", [])
    noted = [(r.nodeid, *pair) for r in reports for pair in r.user_properties]
    if noted:
        terminalreporter.section("measured")
    for test, name, value in noted:
        terminalreporter.line(f"{name}: {value}  ({test.rsplit('/', 1)[-1]})")


def _count_skipped(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons = Counter(
        report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in skipped
    )
    terminalreporter.section(f"{len(skipped)} tests did NOT run", sep="!", red=True, bold=True)
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5d}  {reason}")
