"""Plans drawn anew each time, on real API servers: what ``make prove`` plays hundreds of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from e2e.testbed.build.binaries import Binaries
from tests.apiserver.faults import __main__ as program
from tests.apiserver.faults.audit import Invariants, Log
from tests.apiserver.faults.calls import Book, Call, Nth, call_of
from tests.apiserver.faults.plans import KINDS, Learned, every
from tests.apiserver.fuzz.proxy import Request

PLANS, REAL = 20, 4
UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
SITES = {"tartu": ("EE", 1), "vilnius": ("LT", 1)}


@pytest.mark.apiserver
def test_no_plan_violates_anything(binaries: Binaries, lot: int, record_property):
    binaries.ensure("helm")
    asked = (f"--any={PLANS - REAL}", f"--real={REAL}", f"--seed={lot}")
    command = (sys.executable, "-m", "tests.apiserver.faults", *asked)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seed = done.stdout.partition("\n")[0]
    assert done.returncode == 0, f"{seed}\n{done.stdout[-8000:]}{done.stderr[-4000:]}"
    figures = json.loads(done.stdout.splitlines()[-1])
    record_property("fault plans", f"{seed}: {done.stdout.splitlines()[-1]}")
    assert figures["violations"] == 0
    assert sum(figures["plans"].values()) + figures["crash_points"] >= PLANS
    assert figures["real_processes"] >= REAL


def request(method: str, target: str, kind: str = "") -> Request:
    return Request(method, target, {"Content-Type": kind}, b"")


RUN = f"/api/v1/namespaces/aij-{UID.replace('-', '')}-e2"
GRANTS = "/apis/hansa.dev/v1alpha1/namespaces/hansa-node-tartu/workgrants"
CALLS = {
    "a run's object": (
        request("POST", f"{RUN}/configmaps"),
        "create",
        "/api/v1/namespaces/aij-*/configmaps",
    ),
    "a grant": (
        request("PATCH", f"{GRANTS}/{UID}-e1/status", "application/merge-patch+json"),
        "merge",
        f"{GRANTS}/*/status",
    ),
    "an apply": (request("PATCH", GRANTS, "application/apply-patch+yaml"), "apply", GRANTS),
    "a dry run": (request("POST", "/api/v1/pods?dryRun=All"), "try", "/api/v1/pods"),
    "a watch of ours": (request("GET", f"{GRANTS}?watch=1&timeoutSeconds=2"), "watch", GRANTS),
    "a watch of kopf's": (request("GET", "/api/v1/nodes?watch=true"), "watch", "/api/v1/nodes"),
    "a list": (request("GET", f"{GRANTS}?limit=500"), "get", GRANTS),
}


@pytest.mark.parametrize(("asked", "verb", "path"), CALLS.values(), ids=CALLS)
def test_a_request_is_the_same_in_every_run(asked, verb, path):
    assert call_of("tartu>hub", asked) == Call("tartu>hub", verb, path)


def test_what_is_learned_is_what_all_runs_had_and_each_write_is_a_plan_three_times():
    write = Call("tartu>tartu", "create", "/api/v1/namespaces")
    lease = Call("hub>hub", "merge", "/apis/coordination.k8s.io/v1/leases/x")
    once = Call("hub>hub", "create", "/only/in/one")
    calls = [Counter({write: 3, lease: 9, once: 1}), Counter({write: 2, lease: 7})]
    learned = Learned.common([(one, Counter()) for one in calls])
    assert learned.writes() == [Nth(lease, 1), Nth(write, 1), Nth(write, 2)]
    assert len(every("crash", learned, separate=False)) == 9
    for kind in KINDS:
        words = [str(plan) for plan in every(kind, learned, separate=False)]
        assert len(set(words)) == len(words), kind


class NoLeague:
    """A stage on which every run has one write, and no plan's moment comes but a crash's after it."""

    def __init__(self):
        self.league, self.book, self.played = self, Book(), []

    async def ready(self):
        pass

    async def play(self, plan):
        self.book.open_anew()
        self.book.note(Call("tartu>tartu", "create", "/api/v1/namespaces"))
        if plan is not None:
            self.played.append(plan)
            plan.met = str(plan).startswith("crash after")
        return []


@pytest.mark.parametrize("separate", [False, True])
async def test_a_crash_whose_moment_never_comes_is_tried_again_and_named(separate, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["faults", "--every-write"])
    figures, stage = program.Figures(7), NoLeague()
    await program._Plays(program._arguments(), figures, separate)._play(stage)
    assert figures.learned_writes == {program.LEAGUES[separate]: 1}
    never = [] if separate else ["crash before", "crash lost"]
    assert figures.missed == [f"{one} tartu>tartu create /api/v1/namespaces #1" for one in never]
    assert figures.crash_points == (not separate)
    assert len({id(plan) for plan in stage.played}) == len(stage.played)
    assert len(stage.played) == (0 if separate else 2 * program.TRIES + 1)


def job(name: str = "work", allow: str = "World") -> dict:
    spec = {
        "residency": {"location": {"allow": [allow]}},
        "ray": {"workers": {"count": 1, "gpus": 1}},
    }
    return {"metadata": {"name": name, "uid": name}, "spec": spec}


def event(verb: str, resource: str, *, second: int, name: str = "", part: str = "", **more) -> str:
    at = f"2026-01-01T00:00:{second:02d}.000000Z"
    reference = {"resource": resource, "subresource": part, "name": name, "namespace": name}
    return json.dumps(
        {
            "verb": verb,
            "objectRef": reference,
            "requestURI": "/",
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": at,
            "stageTimestamp": at,
            "user": {"username": "system:anybody"},
        }
        | more
    )


def begins(uid: str, second: int, epoch: int = 1) -> str:
    labels = {"hansa.dev/job-uid": uid, "hansa.dev/epoch": str(epoch)}
    made = {"metadata": {"labels": labels, "namespace": f"aij-{uid}-e{epoch}"}}
    return event("create", "rayjobs", second=second, responseObject=made)


def ends(uid: str, second: int, epoch: int = 1) -> str:
    name = f"aij-{uid}-e{epoch}"
    return event("update", "namespaces", second=second, name=name, part="finalize")


def applied(thing: dict) -> str:
    return event("create", "aijobs", second=0, responseObject=thing)


def granted(uid: str, site: str, epoch: int = 1) -> str:
    spec = {"job": {"uid": uid}, "epoch": epoch}
    made = {"metadata": {"namespace": f"hansa-node-{site}"}, "spec": spec}
    return event("create", "workgrants", second=1, responseObject=made)


HISTORIES = {
    "one run after the other": (
        [applied(job())],
        [begins("work", 1), ends("work", 2)],
        [begins("work", 3, epoch=2)],
        "",
    ),
    "two at once": (
        [applied(job())],
        [begins("work", 1), ends("work", 3)],
        [begins("work", 2, epoch=2)],
        "two live runs",
    ),
    "outside its residency": ([applied(job(allow="LT"))], [begins("work", 1)], [], "may only in"),
    "granted outside its residency": (
        [applied(job(allow="LT")), granted("work", "tartu")],
        [],
        [],
        "may only in",
    ),
    "one epoch granted twice": (
        [applied(job()), granted("work", "tartu"), granted("work", "vilnius")],
        [],
        [],
        "granted twice",
    ),
    "more than there is": (
        [applied(job()), applied(job("hold"))],
        [begins("work", 1), begins("hold", 2)],
        [],
        "2 GPUs in use",
    ),
    "of nobody's job": ([], [begins("work", 1)], [], "nobody applied"),
    "a job that a program deletes": (
        [applied(job()), event("delete", "aijobs", second=5, name="work")],
        [],
        [],
        "deleted job work",
    ),
}


@pytest.mark.parametrize(("hub", "tartu", "vilnius", "wrong"), HISTORIES.values(), ids=HISTORIES)
def test_what_the_merged_logs_show_is_seen(tmp_path: Path, hub, tartu, vilnius, wrong):
    written = {"hub": hub, "tartu": tartu, "vilnius": vilnius}
    logs = [Log(name, tmp_path / name) for name in written]
    for log in logs:
        log.path.write_text("".join(f"{line}\n" for line in written[log.server]))
    invariants = Invariants(SITES)
    invariants.read(logs)
    assert len(invariants.violations) == bool(wrong)
    assert wrong in "".join(invariants.violations)
