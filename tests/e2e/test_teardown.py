"""After a crash in the middle of bringing clusters up, `down` leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.testbed.cluster.spec import HUB, SiteSpec
from e2e.testbed.host import processes
from e2e.testbed.host.clock import PATIENCE_S, wait_until
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains
from e2e.testbed.providers.local import LocalTestbed

pytestmark = pytest.mark.e2e

NAME = "crash-test"
REPOSITORY = Path(__file__).resolve().parents[2]
E2E = [sys.executable, "-m", "e2e"]


@pytest.fixture(autouse=True)
def _clean(root_on_linux):  # noqa: ARG001  # only asks whether it can run here
    yield
    subprocess.run([*E2E, "down", "--name", NAME], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("seen", ["init", "kube-apiserver", "kubelet", "containerd-shim"])
def test_a_killed_runner_leaves_nothing_after_down(seen):
    argv = [*E2E, "up", "--name", NAME, "--site", HUB]
    with subprocess.Popen(argv, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as runner:
        wait_until(lambda: _running(seen, runner), what=seen, timeout_s=900)
        runner.send_signal(signal.SIGKILL)
        runner.communicate()
    record = state.load(NAME)
    assert record is not None
    assert any(item.startswith("process") for item in remains(record))

    subprocess.run([*E2E, "down", "--name", NAME], cwd=REPOSITORY, check=True)

    assert remains(record) == []
    assert state.load(NAME) is None


def test_an_interrupted_demo_cleans_up_itself(tmp_path):
    """All machines are up, and threads wait for pods at every site."""
    report = tmp_path / "report.json"
    # Who runs the tests in the background has had SIGINT ignored, and so would the demo.
    argv = ["env", "--default-signal=INT", *E2E, "demo", "--name", NAME, "--report", str(report)]
    with subprocess.Popen(argv, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as runner:
        said: list[str] = []
        while "DNS and KubeRay" not in "".join(said[-1:]):
            said.append(runner.stderr.readline())
            assert said[-1], f"it ended by itself: {''.join(said)}"
        wait_until(lambda: _running("containerd-shim", runner), what="a pod")
        record = state.load(NAME)
        runner.send_signal(signal.SIGINT)
        runner.communicate(timeout=PATIENCE_S)

    assert runner.returncode
    assert remains(record) == []
    assert state.load(NAME) is None
    assert not report.exists()


def test_machines_of_a_killed_test_run_end_at_once():
    script = (
        "import sys, signal\n"
        "from e2e.testbed.providers.local import LocalTestbed\n"
        "from e2e.testbed.cluster.spec import SiteSpec\n"
        f"LocalTestbed([SiteSpec('hub')], name={NAME!r}).up()\n"
        "print('up', flush=True); signal.pause()\n"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout.readline().strip() == "up"
        assert processes.marked(NAME)
        runner.send_signal(signal.SIGKILL)

    wait_until(lambda: not processes.marked(NAME), what="the machines to end")


def test_two_machines_make_one_cluster():
    with LocalTestbed([SiteSpec("pair", "EE", machines=2)], name=NAME) as testbed:
        site = testbed.sites["pair"]
        ready = site.kubectl("get", "nodes", "--no-headers").splitlines()
        counts = [_start_again("kubelet"), _start_again("kube-proxy")]
        record = state.load(NAME)

    assert [line.split()[1] for line in ready] == ["Ready", "Ready"]
    assert counts == [2, 2]
    assert remains(record) == []


def _running(program: str, runner: subprocess.Popen) -> bool:
    assert runner.poll() is None, "up ended before it could be killed"
    commands = (Path(f"/proc/{p.pid}/cmdline") for p in processes.marked(NAME))
    return any(program in _read(path) for path in commands)


def _start_again(program: str) -> int:
    """Kill one of the program's processes, return when there is another; how many there were."""
    before = _pids(program)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: _pids(program) - before, what=f"{program} to be started again")
    return len(before)


def _pids(program: str) -> set[int]:
    pids = [process.pid for process in processes.marked(NAME)]
    return {pid for pid in pids if _read(Path(f"/proc/{pid}/comm")).strip() == program}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
