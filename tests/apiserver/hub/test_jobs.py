"""The hub on a real API server: a job from apply to its result, and everything that goes wrong."""

import asyncio
from typing import Any

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.api.job.log_window import WINDOW_BYTES
from hansa.api.kinds import AIJOB, COMPUTEPOOL, WORKGRANT
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.cli.jobs.follow import Reader, follow
from hansa.grants.envelope import digest, grant_message, signature_holds
from tests.apiserver.hub.acceptance import accepted
from tests.apiserver.hub.league import condition, condition_of
from tests.apiserver.hub.process import until
from tests.residency_kit import stands_in

pytestmark = pytest.mark.apiserver
LEADS = 'hansa_leader{lease="hansa-hub"} 1.0'


async def test_a_job_runs_and_its_result_comes_back(league, hub):
    await hub.ready()
    async with league.node("tallinn", "finish"):
        await league.submit("study")
        job = await league.job_becomes("study", "Succeeded")
        await league.sees(league.grants, lambda grants: not grants, "the grant is gone")
        job = await league.job("study")

    assert job["status"]["node"] == "tallinn"
    assert job["status"]["epoch"] == 1
    assert job["status"]["result"] == "0.97"
    assert job["status"]["logTail"] == "done"
    assert condition_of(job, "Running")["status"] == "False"
    assert not job["metadata"].get("finalizers")


async def test_a_log_is_followed_from_the_job_to_the_member_and_back(league, hub, capsys):
    await hub.ready()
    async with league.node("viljandi") as member:
        await league.submit("told")
        await accepted(league, "told")
        reading = asyncio.create_task(follow(league.admin, AIJOB.path("clinic", "told"), Reader()))
        (grant,) = await league.sees(league.grants, asked_from(0), "the member is asked")
        status = {"log": {"start": 0, "text": "x" * (WINDOW_BYTES - 4) + "\x1b[H\n"}}
        await member.report(grant, status)
        (grant,) = await league.sees(
            league.grants, asked_from(WINDOW_BYTES), "the next piece is asked for"
        )
        ended = [condition("Running", "False", "Succeeded"), condition("Succeeded", "True", "Done")]
        said = grant["status"] | {"log": {"start": WINDOW_BYTES, "text": "end\n", "state": "Ended"}}
        said |= {"conditions": [*grant["status"]["conditions"], *ended]}
        await member.report(grant, said | member.release(grant))
        done, _ = await reading

    shown = capsys.readouterr()
    assert shown.out == "x" * (WINDOW_BYTES - 4) + "\\x1b[H\nend\n"
    assert shown.err == "run 1, at viljandi\n"
    assert not done.needs_tail


def asked_from(start: int):
    """Whether the one grant asks for a log from a byte on."""

    def asked(grants: list[dict[str, Any]]) -> bool:
        notes = [g["metadata"].get("annotations", {}).get(LOG_REQUEST_ANNOTATION) for g in grants]
        return len(notes) == 1 and str(notes[0]).endswith(f"from={start}")

    return asked


async def test_a_grant_is_signed_whole_and_carries_the_job_word_for_word(league, hub):
    await hub.ready()
    async with league.node("tartu"):
        made = await league.submit("words", data=[], env=[{"name": "MODE", "value": "full"}])
        await accepted(league, "words")
        grants = [g for g in await league.grants() if g["spec"]["job"]["name"] == "words"]
        await league.admin.delete(AIJOB.path("clinic", "words"))
        await league.sees(league.grants, lambda left: not left, "the grant is gone")

    (grant,) = grants
    spec = grant["spec"]
    key = Ed25519Signer.from_file(hub.log.with_name("hub.pem")).public_key
    assert spec["jobSpec"] == made["spec"]
    assert spec["specDigest"] == digest(made["spec"])
    assert signature_holds(key, grant_message(spec), spec["signatures"][0]["signature"])


async def test_a_refusal_is_remembered_until_the_policy_changes(league, hub):
    await hub.ready()
    refuses_only = {"residency": stands_in("EE")}
    async with league.node("narva", "refuse") as member:
        await league.submit("refused", **refuses_only)
        job = await league.job_becomes("refused", "Placed", "False", "NodeRefused")
        await league.sees(league.grants, lambda grants: not grants, "the grant is gone")
        assert "node" not in (await league.job("refused"))["status"]
        assert job["status"]["refusals"][0]["reason"] == "TenantNotAccepted"
        assert len(member.seen) == 1

        member.answer, member.policy_generation = "finish", 2
        await member.publish()
        job = await league.job_becomes("refused", "Succeeded")

    assert job["status"]["epoch"] == 2
    assert len(member.seen) == 2


async def test_suspend_stops_and_resume_runs_again(league, hub):
    await hub.ready()
    async with league.node("parnu") as member:
        await league.submit("pausing")
        await accepted(league, "pausing")
        path = AIJOB.path("clinic", "pausing")
        await league.admin.merge(path, {"spec": {"suspend": True}})
        job = await league.job_becomes("pausing", "Placed", "False", "Suspended")
        assert "node" not in job["status"]
        await league.sees(league.grants, lambda grants: not grants, "the grant is gone")
        member.answer = "finish"
        await league.admin.merge(path, {"spec": {"suspend": False}})
        job = await league.job_becomes("pausing", "Succeeded")

    assert job["status"]["epoch"] == 2


async def test_a_deleted_job_is_gone_and_its_grant_stays_until_it_is_released(league, hub):
    await hub.ready()
    async with league.node("viljandi") as member:
        await league.submit("doomed")
        await accepted(league, "doomed")
        member.answer = "silent"
        await league.admin.delete(AIJOB.path("clinic", "doomed"))
        left = (await league.admin.list(AIJOB.path("clinic"))).items
        assert "doomed" not in {job["metadata"]["name"] for job in left}
        (grant,) = await league.sees(
            league.grants,
            lambda grants: grants and grants[0]["spec"]["cancel"] == "Stop",
            "the grant is cancelled",
        )
        forged = member.release(grant, signer=Ed25519Signer.generate())
        path = WORKGRANT.path("hansa-node-viljandi", grant["metadata"]["name"]) + "/status"
        await member.hub.merge(path, {"status": forged})
        member.answer = "accept"
        await league.submit("after")
        await accepted(league, "after")
        names = {held["spec"]["job"]["name"] for held in await league.grants()}
        assert names == {"doomed", "after"}
        await member.hub.merge(path, {"status": member.release(grant)})
        await league.sees(league.grants, lambda held: len(held) == 1, "its grant is gone")
        await league.admin.delete(AIJOB.path("clinic", "after"))
        await league.sees(league.grants, lambda held: not held, "the other is gone too")


CONTEST = {
    "nodes": {"names": ["contest"]},
    "preemption": {"policy": "LowerPriority", "minRuntimeSeconds": 0},
}
ONE_GPU = {"count": 1, "gpus": 1, "cpu": "1", "memory": "1Gi"}
LENT = {
    "inventory": [{"gpuClass": "nvidia-l40s", "memory": "48Gi", "total": 2}],
    "shapes": [
        {
            "machines": 1,
            "gpuClass": "nvidia-l40s",
            "gpus": 2,
            "gpuMemory": "48Gi",
            "cpu": "64",
            "memory": "256Gi",
        }
    ],
}


async def test_a_victim_is_stopped_and_released_before_the_other_is_placed(league, hub):
    await hub.ready()
    await league.pool("contest", CONTEST)
    async with league.node("contest") as member:
        await member.publish(**LENT)
        await league.sees(
            lambda: league.admin.get(COMPUTEPOOL.path(name="contest")),
            lambda pool: (pool.get("status") or {}).get("gpusTotal") == 2,
            "the pool has its GPUs",
        )
        elastic = {"version": "2.60.0", "workers": ONE_GPU | {"count": 2, "minCount": 1}}
        await league.submit("low", pool="contest", ray=elastic)
        low = await accepted(league, "low")
        assert low["status"]["workers"] == 2

        rigid = {"version": "2.60.0", "workers": ONE_GPU}
        await league.submit("high", pool="contest", ray=rigid, priority=900)
        high = await accepted(league, "high")
        low = await league.sees(
            lambda: league.job("low"),
            lambda job: job["status"].get("epoch") == 2,
            "the victim is placed again, smaller",
        )
        found = await league.sees(
            lambda: league.grants("contest"),
            lambda rows: sorted(g["spec"]["epoch"] for g in rows) == [1, 2],
            "a grant of each job's last epoch",
        )
        grants = {g["spec"]["job"]["name"]: g["spec"] for g in found}

        for name in ("low", "high"):
            await league.admin.delete(AIJOB.path("clinic", name))
        await league.sees(league.grants, lambda left: not left, "the grants are gone")

    (row,) = low["status"]["preemptions"]
    assert (row["node"], row["epoch"], row["inFavourOf"]) == ("contest", 1, "clinic")
    assert low["status"]["workers"] == grants["low"]["workers"] == 1
    assert high["status"]["node"] == "contest"
    deeds = member.deeds
    assert deeds.index(("released", "low")) < deeds.index(("accepted", "high"))


async def test_a_job_in_the_queue_is_told_its_place_and_start(league, hub):
    await hub.ready()
    await league.pool("contest", CONTEST)
    async with league.node("contest") as member:
        await member.publish(**LENT)
        both = {"version": "2.60.0", "workers": ONE_GPU | {"count": 2}}
        await league.submit("running", pool="contest", ray=both, maxRuntimeSeconds=600)
        await accepted(league, "running")
        await league.submit("next", pool="contest", ray=both)
        job = await league.job_becomes("next", "Placed", "False", "WaitingForCapacity")
        await league.submit("after", pool="contest", ray=both)
        await league.job_becomes("after", "Placed", "False", "WaitingForCapacity")
        behind = await league.sees(
            lambda: league.job("after"),
            lambda job: job["status"].get("queuePosition") == 1,
            "the second in the queue knows its place",
        )
        for name in ("after", "next", "running"):
            await league.admin.delete(AIJOB.path("clinic", name))
        await league.sees(league.grants, lambda left: not left, "the grants are gone")

    status = job["status"]
    assert status["queuePosition"] == 0
    assert behind["status"]["verdicts"] == [
        {
            "node": "contest",
            "reason": "WaitingForCapacity",
            "message": "it may take the job, but has no room for it now",
        }
    ]
    assert status["startEstimate"]["p50"] <= status["startEstimate"]["p90"]


CAPPED = {
    "nodes": {"names": ["capped"]},
    "caps": [{"dimension": "Operator", "maxPercent": 1}],
}


async def test_a_pool_whose_caps_leave_nothing_says_so_until_they_are_raised(league, hub):
    await hub.ready()
    await league.pool("capped", CAPPED)
    path = COMPUTEPOOL.path(name="capped")

    async def becomes(ready, sound):
        def is_so(pool):
            rows = (pool.get("status") or {}).get("conditions", ())
            said = {row["type"]: row["status"] for row in rows}
            return (said.get("Ready"), said.get("Sound")) == (ready, sound)

        return await league.sees(
            lambda: league.admin.get(path), is_so, f"Ready={ready}, Sound={sound}"
        )

    async with league.node("capped") as member:
        await member.publish(**LENT)
        pool = await becomes("False", "False")
        said = condition_of(pool, "Sound")
        assert said["reason"] == "ExceedsConcentrationCap"
        assert "at most 0 of 2 GPUs" in said["message"]
        await league.admin.merge(path, {"spec": {"caps": None}})
        await becomes("True", "True")


BAD_REQUESTS = {
    "pool": ({"pool": "atlantis"}, "UnknownPool", "atlantis"),
    "dataset": ({"data": [{"name": "nowhere"}]}, "UnknownDataset", "nowhere"),
    "region": (
        {"residency": stands_in("EE-99")},
        "Misconfigured",
        "residency.location.allow.0: there is no place EE-99; did you mean EE-",
    ),
    "overlay": (
        {"residency": stands_in("overlay/none")},
        "UnknownJurisdiction",
        "overlay/none",
    ),
    "currency": ({"budget": {"limit": "1", "currency": "USD"}}, "Misconfigured", "EUR"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
async def test_a_bad_request_says_what_to_change(league, hub, case):
    await hub.ready()
    spec, reason, word = BAD_REQUESTS[case]
    await league.submit(f"bad-{case}", **spec)

    job = await league.job_becomes(f"bad-{case}", "Accepted", "False", reason)

    assert word in condition_of(job, "Accepted")["message"]
    assert condition_of(job, "Stalled")["status"] == "True"


async def test_probes_and_metrics(league, hub):
    await hub.ready()
    await league.submit("astray", pool="sunken")
    await league.job_becomes("astray", "Accepted", "False", "UnknownPool")

    assert hub.page("/healthz") == "ok"
    counted = 'hansa_jobs{pool="sunken",reason="UnknownPool"} 1.0'
    for words in (LEADS, counted, "hansa_grants_written_total"):
        await until(lambda words=words: words in hub.page("/metrics"), what=words)
