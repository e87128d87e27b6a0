"""Shared fixtures: a real control plane once a session, and an honest account of what was skipped."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError, cache_root
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages
from e2e.testbed.host.progress import Progress
from e2e.testbed.providers.local import require_root_on_linux
from e2e.testbed.providers.provider import ProviderUnavailableError

# No test asserts a duration, so neither does hypothesis: machines are noisy.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")
# A quarter of an API server's work is collecting garbage; machines that run tests have the memory.
os.environ.setdefault("GOGC", "400")
# Outside the checkout, so that a clean clone need not compile the kernel again.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_root() / "numba"))
os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", "tests.kernel_cache.AnyCheckout")
_path = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")  # child processes need it
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _path))


def skip_or_fail(reason: str) -> None:
    """Skip on a developer's machine; in CI a test that cannot run is a failure."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"not skippable in CI: {reason}")
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the longest tests first, real pods before all: no process waits for another at the end.

    Beside them runs what waits most itself, and leaves the pods the machine. What waits least comes
    last: while the processes end one after the other, it leaves nothing of the machine unused.
    """
    first, last = ("long", "e2e"), "busy"
    items.sort(
        key=lambda item: (
            *(item.get_closest_marker(mark) is None for mark in first),
            item.get_closest_marker(last) is not None,
        )
    )


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make only: of the rest there is so much that it takes a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


TRACED_SEEDS = 8
"""Of a test over drawn leagues, so many count for coverage: the others run through the same lines."""


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Trace nothing of a test marked ``no_cover``, nor of later seeds of the same test.

    In a process of xdist pytest-cov starts two measurements, one within the other, and for such a
    test pauses the inner one: the outer goes on, and a long run of pure Python takes twice the time.
    """
    drawn = getattr(item, "callspec", None)
    is_late = drawn is not None and drawn.params.get("seed", 0) >= TRACED_SEEDS
    if not is_late and not item.get_closest_marker("no_cover"):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Give a file to one process, and everything with real pods too: two such leagues are too many."""
    return _ByFile(config, log)


class _ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        real_pods = "tests/e2e"
        return real_pods if nodeid.startswith(real_pods) else str(super()._split_scope(nodeid))


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
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """An API server with its controllers, shared by the session: use namespaces of your own."""
    with ControlPlane(binaries, controllers=True) as running:
        yield running


@pytest.fixture(scope="session")
def root_on_linux() -> None:
    """Real pods need root on Linux."""
    try:
        require_root_on_linux()
    except ProviderUnavailableError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own checker; as root on Debian it is installed where it is missing."""
    try:
        if shutil.which("promtool") is None:
            ensure_packages(Progress(), ["prometheus"])
    except PackagesMissingError as error:
        skip_or_fail(f"promtool: {error}")
    return shutil.which("promtool") or "promtool"


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
