"""The troubles: what is done, what is right, and how the owner's words are held against it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from e2e.demo.jobs import condition, finished, holds
from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.images import RAY, REPOSITORY
from e2e.testbed.host.clock import wait_until
from e2e.testbed.league.founding import SYSTEM
from e2e.troubles.proxy import Proxy
from e2e.troubles.stage import CASE_S, Line, Manifest, Stage, Told, close_way
from hansa.api.job.log_window import WINDOW_BYTES
from hansa.reconcile.fencing import LEAST_UNATTENDED_S

ROOT = str(cache_root())
PORT, USER, PASSWORD = 5000, "league", "mare-balticum"
PRIVATE = f"127.0.0.1:{PORT}/private/ray-sklearn"
PULL_SECRET = "registry"  # noqa: S105  # the name of a Secret
MOVE_S = LEAST_UNATTENDED_S + CASE_S
GANG = """
import ray, time
from ray.util import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as On

ray.init()
gang = placement_group([{"CPU": 1, "GPU": 4}] * 2, strategy="STRICT_SPREAD")
ray.get(gang.ready())

@ray.remote(num_gpus=4)
def hold():
    time.sleep(45)

ray.get([hold.options(scheduling_strategy=On(gang, n)).remote() for n in range(2)])
print('ran')
"""
"""Waits for as long as one of its two machines is away, as distributed training does."""
LINES = WINDOW_BYTES // 20
"""Of twenty bytes and more: more than one piece of a log."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble."""

    title: str
    done: str
    """What is done, for the page."""
    right: str
    """What is right, for the page."""
    play: Callable[[Stage], Told]


def tainted(stage: Stage) -> Told:
    """A machine with a taint of its owner's own is named; work waits and runs when it is gone."""
    site, machine = stage.league.members["tartu"], stage.machine("tartu").name
    site.kubectl("taint", "node", machine, "sku=gpu:NoSchedule")
    try:
        _told_by_member(stage, "tartu", "MachinesUnderstood", "no run tolerates its taint sku")
        stage.submit("tainted", "print('ran')", "EE")
        told = stage.read_until("tainted", _waits, "it to wait")
        expect("NoAccelerator" in told.text(), f"it waits for something else:\n{told.text()}")
        seen = stage.law("tartu", "MachinesUnderstood")
        told.add(f"at tartu, MemberPolicy local: MachinesUnderstood False: {seen['message']}")
        explained = stage.command("explain", "tainted").splitlines()
        rows = [line for line in explained if line.split()[:1] == ["tartu"]]
        expect(rows, "explain does not name tartu")
        told.add(f"explain: {rows[0]}")
    finally:
        site.kubectl("taint", "node", machine, "sku:NoSchedule-")
    return _and_then(told, stage.read_until("tainted", finished, "it to end"), "Succeeded True")


def no_such_image(stage: Stage) -> Told:
    """A pull that never works ends at its start limit, elsewhere too, and with its tries the job."""
    image = f"hansa.local/ray-sklearn@sha256:{'1' * 64}"
    once = {"limit": 1}
    stage.submit("no-image", "print('never')", "EE", "LV", image=image, retry=once)
    told = stage.read_until("no-image", finished, "it to be given up")
    for node in ("riga", "tartu"):
        expect(f"node {node}" in told.text(), f"{node} was not tried:\n{told.text()}")
    expect("could not be pulled" in told.text(), f"no word of the pull:\n{told.text()}")
    return _and_then(told, Told(), "Failed True (ImageNotPulled)")


def head_killed(stage: Stage) -> Told:
    """A head that is killed is no fault of the job: its run ends with the words for it, and another one ends well."""
    stage.submit("headless", "import time; print('begun'); time.sleep(45); print('done')", "EE")
    running = stage.read_until("headless", lambda job: holds(job, "Running"), "it to run")
    expect(stage.kill("tartu", "--head"), "no head was there to be killed")
    ended = stage.read_until("headless", finished, "it to end")
    expect("tried again, 1 times (HeadLost)" in ended.text(), f"no word of it:\n{ended.text()}")
    return _and_then(running, ended, "Succeeded True")


def memory(stage: Stage) -> Told:
    """A program that takes more than its pod has ends its job with the cause, and once only.

    It grows so that Ray's monitor, which looks four times a second, sees it before the kernel has to choose.
    """
    grows = "(time.sleep(0.5), bytearray(1 << 25))"
    program = f"import time; print('growing'); held = [{grows} for _ in range(80)]; print('never')"
    stage.submit("hungry", program, "EE")
    told = stage.read_until("hungry", finished, "it to end")
    expect("tried again" not in told.text(), f"it was tried again:\n{told.text()}")
    return _and_then(told, Told(), "Failed True (OutOfMemory)")


def private_registry(stage: Stage) -> Told:
    """A registry that asks for a password: without the right one the words say so, with it the job runs."""
    machine, site = stage.machine("tartu"), stage.league.members["tartu"]
    served = [sys.executable, "-m", "e2e.troubles.registry", f"{ROOT}/images"]
    serving = subprocess.Popen(
        [*machine.enter, *served, str(PORT), f"{USER}:{PASSWORD}"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    try:
        policy = stage.league.policies["tartu"]
        allowed = [*policy["spec"]["imageRegistries"], PRIVATE]
        site.apply(policy | {"spec": policy["spec"] | {"imageRegistries": allowed}})
        digest = stage.testbed.images[RAY].manifest.digest
        stage.submit("private", "print('ran')", "EE", image=f"{PRIVATE}@{digest}")
        told = stage.read_until("private", _is_refused, "it to be refused")
        site.apply(pull_secret(PASSWORD))
        stage.submit("private-too", "print('ran')", "EE", image=f"{PRIVATE}@{digest}")
        after = stage.read_until("private-too", finished, "it to end")
    finally:
        serving.terminate()
        stage.hub.kubectl("delete", "aijob", "private", "-n", "university", "--wait=false")
    expect("(ImageNotPulled)" in told.text(), f"it was refused for something else:\n{told.text()}")
    expect("401" in told.text(), f"no word of the password:\n{told.text()}")
    told.add("the next job, with the right password:")
    return _and_then(told, after, "Succeeded True")


def log_after_the_end(stage: Stage) -> Told:
    """A log of several pieces is read after the end, all of it."""
    program = f"[print(f'line {{n:06d}} of the run') for n in range({LINES})]"
    stage.submit("wordy", program, "EE")
    told = stage.read_until("wordy", finished, "it to end")
    printed = stage.command("logs", "wordy")
    missing = [n for n in range(LINES) if f"line {n:06d} of the run" not in printed]
    expect(not missing, f"{len(missing)} lines are missing: {missing[:5]}; {printed[-500:]}")
    return _and_then(told, Told(), "Succeeded True")


def machine_stopped(stage: Stage) -> Told:
    """A machine stops with all that it runs: the words say until when, and the job goes on elsewhere."""
    alone = {"disconnection": {"policy": "Continue", "maxUnattendedSeconds": 60}}
    stage.submit("halted", "import time; time.sleep(45); print('ran')", "LV", "EE", **alone)
    told = stage.read_until("halted", lambda job: holds(job, "Running"), "it to run")
    expect("riga" in told.text(), f"it does not run at riga, the cheaper:\n{told.text()}")
    with stage.stopped(stage.machine("riga")):
        moved = stage.read_until("halted", finished, "it to end elsewhere", within_s=MOVE_S)
    wait_until(lambda: not stage.league.runs("riga"), what="riga to end its run", timeout_s=CASE_S)
    expect("Running Unknown (NodeUnreachable)" in moved.text(), f"not missed:\n{moved.text()}")
    expect("node tartu" in moved.text(), f"it did not go on at tartu:\n{moved.text()}")
    return _and_then(told, moved, "Succeeded True")


def one_machine_of_two(stage: Stage) -> Told:
    """One machine of a member stops, not the one with the head: the run ends for it, and the next one ends well."""
    site = stage.league.members["lisbon"]
    worker = {"count": 2, "cpu": "250m", "memory": "1Gi", "gpus": 4}
    head = {"cpu": "250m", "memory": "2Gi"}
    ray = {"version": "2.60.0", "head": head, "workers": worker}
    stage.submit("halved", GANG, "PT", ray=ray)
    told = stage.read_until("halved", lambda job: holds(job, "Running"), "it to run")
    (run,) = stage.league.runs("lisbon")
    first, other = site.machines
    heads = site.get("pods", "-n", run, "-l", "ray.io/node-type=head")["items"]
    at = {pod["spec"]["nodeName"] for pod in heads}
    expect(at == {first.name}, f"the head is on {at}")
    with stage.stopped(other):
        ended = stage.read_until(
            "halved",
            lambda job: condition(job, "Running").get("reason") == "MachineLost",
            "its end",
        )
    told = _and_then(told, ended, "Running False (MachineLost)")
    ended = stage.read_until("halved", finished, "it to end")
    expect("tried again, 1 times (MachineLost)" in ended.text(), f"not told:\n{ended.text()}")
    return _and_then(told, ended, "Succeeded True")


def only_by_proxy(stage: Stage) -> Told:
    """A member whose way to the hub is closed is missed; with the proxy named in its chart it works again."""
    machine, hub = stage.machine("riga"), urlsplit(stage.hub.url)
    with close_way(machine, str(hub.hostname)), _proxy(stage).running() as proxy:
        wait_until(lambda: not stage.is_ready("riga"), what="riga to be missed", timeout_s=CASE_S)
        stage.submit("led", "print('ran')", "LV")
        told = stage.read_until("led", _waits, "it to wait")
        expect("NodeUnreachable" in told.text(), f"it waits for something else:\n{told.text()}")
        way = {"url": proxy.url, "cidrs": [f"{proxy.address}/32"]}
        stage.league.upgrade_member("riga", {"proxy": way})
        ran = stage.read_until("led", finished, "it to end")
        expect(set(proxy.asked) == {f"CONNECT {hub.netloc} HTTP/1.1"}, f"asked was {proxy.asked}")
    stage.league.upgrade_member("riga", {})
    return _and_then(told, ran, "Succeeded True")


TROUBLES = (
    Trouble(
        "A machine is tainted",
        "`kubectl taint node … sku=gpu:NoSchedule` at the only member that may run the job; later it is taken away.",
        "The machine is named where its owner looks; the job waits, and runs when the taint is gone.",
        tainted,
    ),
    Trouble(
        "The head is killed",
        "The container of the head gets a SIGKILL while the job runs.",
        "The job is not to blame: the run ends as `HeadLost`, is counted, and the next one ends well.",
        head_killed,
    ),
    Trouble(
        "Memory runs out",
        "The program grows by 32 MiB every half second in a pod of 2 GiB.",
        "The job ends with that cause, and is not tried again.",
        memory,
    ),
    Trouble(
        "A machine stops in mid-run",
        "Every process of the member's only machine is stopped while the job runs there. Its `spec.disconnection` allows a"
        " minute without the hub; the hub waits for five, the least that it ever does.",
        "The words say when the job may go on elsewhere; there it ends well. The machine wakes up and ends its run.",
        machine_stopped,
    ),
    Trouble(
        "One machine of a member stops",
        "Every process of one of Lisbon's two machines is stopped, not of the one with the head, while a job computes on both."
        " The program itself would wait for what it had there. The machine wakes up once the run is told to have ended.",
        "Kubernetes takes up to a minute to say that the machine is not Ready; two minutes later the run ends as"
        " `MachineLost`, and is counted. The next one begins when the machine is back: until then nobody knows what runs there.",
        one_machine_of_two,
    ),
    Trouble(
        "The only way out is a proxy",
        "A member's machine reaches the hub no more, only a proxy that knows CONNECT; then its chart is told `proxy.url`.",
        "The node is missed with the words for it; through the proxy it works again.",
        only_by_proxy,
    ),
    Trouble(
        "A log after the end",
        "A program writes more than one piece of a log and ends; `kubectl hansa logs` is asked afterwards.",
        "Every line is there.",
        log_after_the_end,
    ),
    Trouble(
        "An image that cannot be pulled",
        "The job names a digest that no registry has, and has `spec.retry.limit: 1`.",
        "Each run ends at the start limit, the second at another member; then the job is given up. The kubelet's words"
        " reach the owner.",
        no_such_image,
    ),
    Trouble(
        "A private registry",
        "A registry on the machine's loopback asks for a password. At first the member's pull secret holds a wrong one.",
        "The registry's answer reaches the owner; with the right password the next job runs.",
        private_registry,
    ),
)
"""The registry comes last: an image that was pulled with a password is given to no pod without it any more."""


def _proxy(stage: Stage) -> Proxy:
    hub = urlsplit(stage.hub.url)
    return Proxy(stage.machine("riga").plan.gateway, (str(hub.hostname), int(hub.port or 443)))


def expect(it: object, otherwise: str) -> None:
    """Raise where something does not hold."""
    if not it:
        raise AssertionError(otherwise)


def _told_by_member(stage: Stage, node: str, kind: str, words: str) -> None:
    wait_until(
        lambda: words in stage.law(node, kind).get("message", ""),
        what=f"{node} to say {words!r}",
        timeout_s=CASE_S,
        poll_s=1,
    )


def _waits(job: Manifest) -> bool:
    placed = condition(job, "Placed")
    return placed.get("status") == "False" and placed.get("reason") != "Pending"


def _is_refused(job: Manifest) -> bool:
    return bool(job.get("status", {}).get("refusals"))


def pull_secret(password: str) -> Manifest:
    """Return the Secret that a member's runs pull images with."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config = {"auths": {f"127.0.0.1:{PORT}": {"auth": auth}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": PULL_SECRET, "namespace": SYSTEM},
        "stringData": {".dockerconfigjson": json.dumps(config)},
    }


def _and_then(first: Told, second: Told, words: str) -> Told:
    """Return both, one after the other; raises where the owner did not read some words."""
    last_s = first.lines[-1].at_s if first.lines else 0.0
    first.lines += [Line(last_s + line.at_s, line.text) for line in second.lines]
    first.job = second.job or first.job
    expect(words in first.text(), f"nobody said {words!r}:\n{first.text()}")
    return first
