"""What of a run's own words reaches the hub, through the whole agent: nothing that its member's law keeps back."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from unittest.mock import AsyncMock

import pytest

from hansa.api.workgrant import WorkGrantStatus
from hansa.errors import Conflict, Retryable, Terminal
from hansa.grants.envelope import sign
from hansa.grants.exports import held_result, held_secret
from hansa.member.runs import run_objects
from hansa.model.times import rfc3339
from hansa.reconcile.member.outgoing import LEFT_OUT
from tests.residency_kit import EVERYWHERE
from tests.unit.grants.grant_kit import FOREIGN, NOW_S, OWNER
from tests.unit.member.runs.ended_runs import CANARY, LATER, RAYJOB, SECRET, Ending
from tests.unit.member.runs.plain_job import GRANT, RUN, working

CARRIES = {
    "result": "exports.result: Allow, or a release",
    "logTail": "exports.logs: Allow",
    "log": "exports.logs: Allow, while the owner follows it",
    "conditions": "exports.logs: Allow, in the message of how it ended",
    "keptLog": "exports.logs: Allow: how long the log is",
    "postMortem": "exports.logs: Tail or Allow",
    "exports": "the size of a result that waits; its digest tells nothing without the nonce",
}
"""Fields of a grant's status in which a job can place bytes of its own choice, and where that is allowed."""
CARRY_NONE = {
    "observedGeneration": "the API server's number",
    "policyGeneration": "the API server's number",
    "acceptedAt": "the agent's clock",
    "renderedAt": "the API server's clock",
    "runningAt": "KubeRay's clock, when all pods were ready",
    "finishedAt": "KubeRay's clock",
    "workload": "from the job's uid",
    "gpuSeconds": "from the times above and the grant",
    "receipts": "not written",
    "highestEpoch": "the agent's memory",
    "release": "the node's key, the agent's clock, the grant",
}


def logged(result: bytes | None, text: str = CANARY) -> str:
    marked = "" if result is None else f"\nhansa-result:{base64.b64encode(result).decode()}"
    return f"{text}{marked}\n"


async def ended(log: str, job: dict[str, Any], **law: Any) -> Ending:
    agent = Ending(**law)
    agent.granted(**job)
    async with working(agent):
        await agent.ends(log)
    return agent


DECLARED = {"result": {"maxBytes": 8}}


async def test_where_nothing_may_leave_no_byte_of_the_jobs_choice_does():
    agent = await ended(logged(CANARY.encode()), DECLARED)

    assert agent.said("Succeeded") == ("True", "Succeeded")
    assert CANARY not in agent.told()
    assert LATER not in agent.told()
    assert agent.status()["runningAt"] == rfc3339(NOW_S)
    assert "spec.exports.result: Deny" in agent.message()


@pytest.mark.parametrize("rule", ["Allow", "Tail"])
async def test_open_logs_show_where_its_words_would_be(rule):
    agent = await ended(logged(CANARY.encode()), DECLARED, exports={"logs": rule})

    assert agent.status()["logTail"] == CANARY
    assert CANARY in agent.message()
    assert "result" not in agent.status()


def test_every_field_of_the_status_is_accounted_for():
    fields = {info.alias or name for name, info in WorkGrantStatus.model_fields.items()}

    assert fields == CARRIES.keys() | CARRY_NONE.keys()
    assert not CARRIES.keys() & CARRY_NONE.keys()


RESULTS = {
    "declared": (b"12345678", DECLARED, "12345678", "ended well."),
    "too many bytes": ("õõõõõ".encode(), DECLARED, None, "larger than the job declares"),
    "no text": (b"\xff", DECLARED, None, "no UTF-8"),
    "undeclared": (b"1", {}, None, "ended well."),
}


@pytest.mark.parametrize("case", RESULTS)
async def test_a_result_travels_as_declared_or_not_at_all(case):
    result, job, travels, words = RESULTS[case]

    agent = await ended(logged(result), job, exports={"result": "Allow"})

    assert agent.status().get("result") == travels
    assert words in agent.message()


async def test_a_result_behind_a_line_that_is_too_long_arrives(monkeypatch):
    """A progress bar is one line, which grows for as long as the job runs."""
    monkeypatch.setattr(run_objects, "MOST_LOG_BYTES", 5000)
    bar = "\r".join(f"{number:>6} of 2000 steps" for number in range(2000))
    submitters = "\n----\nJob succeeded\n----\n"
    log = logged(b"accuracy 0.9", bar) + submitters
    agent = await ended(
        log, {"result": {"maxBytes": 64}}, exports={"result": "Allow", "logs": "Allow"}
    )

    assert agent.status()["result"] == "accuracy 0.9"
    assert agent.status()["logTail"] == LEFT_OUT


async def test_a_log_that_is_too_long_takes_no_result_with_it(monkeypatch):
    monkeypatch.setattr(run_objects, "MOST_LOG_BYTES", 5000)
    monkeypatch.setattr(run_objects, "LIMIT_SLACK_BYTES", 0)
    # The limit falls into the marked line, and what is left of it is base64 of something shorter.
    head = "x" * (5000 - len("\nhansa-result:") - 4)

    agent = await ended(logged(b"123456", head), DECLARED, exports={"result": "Allow"})

    assert "result" not in agent.status()
    assert "too long to be read" in agent.message()


COHORT = {
    "name": "cohort",
    "jurisdiction": "EE",
    "claim": "cohort",
    "owners": ["clinic"],
    "residency": EVERYWHERE,
}
WAITS: dict[str, Any] = {
    "exports": {"result": "OnRelease"},
    "trustedOwners": [
        {"name": "clinic", "publicKey": OWNER.public_key},
        {"name": "registry", "publicKey": FOREIGN.public_key},
    ],
}
SECRET_WORD = b"yes"


def row(agent: Ending) -> dict[str, Any]:
    [found] = agent.status()["exports"]
    return found


def held(agent: Ending) -> held_secret.Kept:
    kept = held_secret.read(agent.own.objects[SECRET], RUN)
    assert kept is not None
    return kept


async def waiting() -> Ending:
    agent = await ended(logged(SECRET_WORD), DECLARED, **WAITS)
    assert "result" not in agent.status()
    assert (row(agent)["state"], row(agent)["bytes"]) == ("Waiting", 3)
    assert row(agent)["digest"] == held(agent).held.digest
    assert "nonce" not in row(agent)
    assert '"yes"' not in agent.told()
    return agent


async def look(agent: Ending) -> None:
    async with working(agent):
        await agent.until(lambda: agent.parts.context.grants.synced)
        await agent.parts.held_results.look()


async def test_a_result_waits_at_the_member_until_an_owner_has_signed():
    agent = await waiting()
    assert "spec.exports.result: OnRelease" in agent.message()

    await look(agent)
    assert row(agent)["state"] == "Waiting"

    signature = sign(OWNER, held_result.message(held(agent).held))
    nonce = held(agent).held.nonce
    await agent.own.merge(SECRET, held_secret.signature(held(agent).held, *signature))
    await look(agent)

    assert agent.status()["result"] == "yes"
    assert (row(agent)["state"], row(agent)["nonce"]) == ("Released", nonce)
    assert held_result.commitment(nonce, "yes") == row(agent)["digest"]
    assert held_secret.runs(agent.own.objects[SECRET]) == []
    assert agent.said("Released") == ("True", "Succeeded")


async def test_a_result_that_somebody_refuses_is_deleted():
    agent = await waiting()

    await agent.own.merge(SECRET, held_secret.refusal(held(agent).held))
    await look(agent)

    assert row(agent)["state"] == "Refused"
    assert "result" not in agent.status()
    assert held_secret.runs(agent.own.objects[SECRET]) == []


async def test_a_changed_result_is_not_given_out_however_it_is_signed():
    agent = await waiting()
    signature = sign(OWNER, held_result.message(held(agent).held))
    await agent.own.merge(SECRET, held_secret.signature(held(agent).held, *signature))
    other = base64.b64encode(b"no!").decode()
    await agent.own.merge(SECRET, {"data": {f"{RUN}.result": other}})

    await look(agent)

    assert "result" not in agent.status()
    assert row(agent)["state"] == "Waiting"


async def test_nothing_that_waits_is_settled_before_the_hubs_grants_were_read():
    """A grant that is not read yet looks like one that is gone, whose result nobody waits for."""
    agent = await waiting()
    await agent.own.merge(SECRET, held_secret.refusal(held(agent).held))
    begun = Ending(**WAITS)
    begun.own.objects[SECRET] = agent.own.objects[SECRET]

    await begun.parts.held_results.look()

    assert held_secret.runs(begun.own.objects[SECRET]) == [RUN]


async def test_a_release_whose_grant_is_gone_is_not_tried_for_ever():
    agent = await waiting()
    await agent.own.merge(SECRET, held_secret.refusal(held(agent).held))
    await agent.hub.delete(GRANT)

    await look(agent)

    assert held_secret.runs(agent.own.objects[SECRET]) == []


@pytest.mark.parametrize("error", [Terminal("422"), Retryable("away"), Conflict("x")])
async def test_a_hub_that_takes_no_word_on_one_result_holds_up_no_other(error):
    agent = await waiting()
    first = held(agent).held
    later = first.model_copy(update={"epoch": first.epoch + 1})
    await agent.own.merge(SECRET, held_secret.entry(later, SECRET_WORD.decode()))
    for one in (first, later):
        await agent.own.merge(SECRET, held_secret.refusal(one))
    agent.hub.replace = agent.hub.merge = AsyncMock(side_effect=error)
    await look(agent)
    assert held_secret.runs(agent.own.objects[SECRET]) == [first.run]


async def test_a_full_member_keeps_no_more_and_says_so(monkeypatch):
    monkeypatch.setattr(held_secret, "MOST_HELD", 0)

    agent = await ended(logged(SECRET_WORD), DECLARED, **WAITS)

    assert row(agent)["state"] == "Refused"
    assert "results wait at the member already" in agent.message()
    assert held_secret.runs(agent.own.objects[SECRET]) == []
    assert "result" not in agent.status()


async def test_without_a_place_for_it_the_run_waits_and_its_result_does_not_travel():
    agent = Ending(**WAITS)
    del agent.own.objects[SECRET]
    agent.granted(**DECLARED)
    async with working(agent):
        ending = asyncio.create_task(agent.ends(logged(SECRET_WORD)))
        await agent.until(lambda: agent.parts.context.runs.failures(RUN) > 0)
        assert "finishedAt" not in agent.status()
        agent.own.put(SECRET, {"metadata": {"name": held_secret.NAME}})
        await ending

    assert row(agent)["state"] == "Waiting"
    assert "result" not in agent.status()


async def test_telling_the_end_twice_keeps_the_result_once():
    agent = await waiting()
    entry_digest = row(agent)["digest"]

    spec = agent.hub.objects[GRANT]["spec"]
    again = Ending(**WAITS)
    again.own.objects[SECRET] = agent.own.objects[SECRET]
    again.hub.put(GRANT, {"metadata": agent.hub.objects[GRANT]["metadata"], "spec": spec})
    async with working(again):
        await again.ends(logged(SECRET_WORD))

    assert row(again)["digest"] == entry_digest
    assert held_secret.runs(again.own.objects[SECRET]) == [RUN]


async def test_a_run_that_is_shut_in_is_not_made_while_its_resolver_is_gone():
    agent = Ending()
    agent.granted()
    service = "/api/v1/namespaces/hansa-system/services/hansa-resolver"
    kept = agent.own.objects.pop(service)
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await agent.until(lambda: agent.parts.context.runs.failures(RUN) > 0)
        assert RAYJOB not in agent.own.objects
        agent.own.objects[service] = kept
        await agent.until(lambda: RAYJOB in agent.own.objects)
