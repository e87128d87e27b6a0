"""How long the judge waits for the end of a rush of grants, and what becomes of those that it could not decide."""

import pytest

from hansa.errors import Retryable
from hansa.member import judge as judge_module
from hansa.member import wiring
from hansa.member.context import AgentContext
from hansa.member.judge import pause_after
from hansa.member.publisher import Publisher
from hansa.member.runs import run_controller, stale_grants
from hansa.member.runs.metering import Metering
from hansa.reconcile.member import grant_status
from tests.unit.grants.grant_kit import grant, job
from tests.unit.member.runs.plain_job import PLAIN, UID, WORK, PlainJob, Running, working

PAUSES = {
    "one grant": (1, 0.0, False, 0.02),
    "a rush": (1000, 3.0, False, 0.25),
    "a rush that does not end": (1000, 9.9, False, 0.1),
    "enough": (1000, 10.5, False, 0.0),
    "others wait already": (1, 0.0, True, 0.0),
    "nothing was left to judge": (0, 0.0, False, 0.0),
}


@pytest.mark.parametrize("case", PAUSES.values(), ids=PAUSES.keys())
def test_accepted_work_waits_for_the_end_of_a_rush_but_not_for_ever(case):
    judged, spent_s, backlog, expected = case
    assert pause_after(judged, spent_s, backlog=backlog) == pytest.approx(expected)


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Running()


def failing(act, *, times, when):
    """Wrap a write of a cluster so that it gets lost a few times."""
    left = [times]

    async def write(path, *args, **options):
        if left[0] and when(path):
            left[0] -= 1
            raise Retryable("connection reset", after_s=0.01)
        return await act(path, *args, **options)

    return write


async def test_a_grant_that_could_not_be_decided_is_judged_again(agent):
    agent.own.merge = failing(agent.own.merge, times=3, when=lambda path: "hansa-epochs" in path)
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await agent.until(lambda: WORK in agent.own.objects)


async def test_a_refusal_that_the_hub_did_not_take_is_told_again_word_for_word(agent):
    agent.hub.replace = failing(agent.hub.replace, times=3, when=lambda _: True)
    agent.granted(image="evil.example/x@sha256:" + "0" * 64)
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
    assert agent.said("Accepted") == ("False", "ImageNotAllowed")
    assert "evil.example" in str(agent.status()["conditions"])


WAITING = {
    "as many as may": (3150, 3150, ("False", "LedgerBehind")),
    "one fewer": (3149, 3150, ("True", "Accepted")),
    "a league without books": (6300, 0, ("True", "Accepted")),
}


@pytest.mark.parametrize("case", WAITING.values(), ids=WAITING)
async def test_nothing_new_is_begun_while_too_many_receipts_wait(agent, monkeypatch, case):
    waiting, most, said = case
    context = agent.parts.context
    context.settings = context.settings.model_copy(
        update={"limits": context.settings.limits.model_copy(update={"receipts_waiting": most})}
    )
    monkeypatch.setattr(type(context.receipts), "waiting", waiting)
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
    assert agent.said("Accepted") == said
    told = Publisher(context, release_key="", token_end_s=lambda: None)
    told._assess()
    rows = {row["type"]: row for row in told._node_body()["status"]["memberConditions"]}
    kept = said[0] == "True"
    assert rows["ReceiptsTaken"]["reason"] == ("LedgerKeepsUp" if kept else "LedgerBehind")
    assert kept or "3150 receipts of work done here wait" in rows["ReceiptsTaken"]["message"]


UNFORESEEN = UID.replace("5", "6")


def remembers_not(monkeypatch):
    recorded = AgentContext.record

    def record(self, spec, *args, **options):
        if spec.job.uid == UNFORESEEN:
            raise ZeroDivisionError
        return recorded(self, spec, *args, **options)

    monkeypatch.setattr(AgentContext, "record", record)


def opens_not(monkeypatch):
    async def open_accepted(_):
        raise ZeroDivisionError

    monkeypatch.setattr(Metering, "open_accepted", open_accepted)


@pytest.mark.parametrize("fault", [remembers_not, opens_not])
async def test_a_fault_that_nobody_foresaw_ends_no_judge_and_keeps_no_other_grant(
    agent, monkeypatch, caplog, fault
):
    fault(monkeypatch)
    who = {"namespace": "hospital", "name": "study", "uid": UNFORESEEN}
    metadata = {"name": "another-e3", "namespace": "hansa-node-tartu", "generation": 1}
    agent.hub.put(
        "/apis/hansa.dev/v1alpha1/namespaces/hansa-node-tartu/workgrants/another-e3",
        {"metadata": metadata, "spec": grant(job(**PLAIN), job=who)},
    )
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await agent.until(agent.parts.context.judging.is_set)
    if fault is remembers_not:
        names = agent.parts.context.run_index.names()
        assert [name for name in names if UNFORESEEN[-12:] in name] == []
    assert "ZeroDivisionError" in caplog.text


ONCE = {
    "judging it": (judge_module, "judge"),
    "remembering it": (AgentContext, "record"),
    "telling it": (grant_status, "accepted"),
    "telling its refusal": (stale_grants, "refusal"),
}


@pytest.mark.parametrize(("where", "name"), ONCE.values(), ids=ONCE)
async def test_a_fault_that_passes_costs_no_grant(agent, monkeypatch, where, name):
    left, act = [2], getattr(where, name)

    def fails(*args, **options):
        left[0] -= 1
        if left[0] >= 0:
            raise ZeroDivisionError
        return act(*args, **options)

    monkeypatch.setattr(where, name, fails)
    monkeypatch.setattr(run_controller, "STUCK_S", 0.05)
    is_refused = name == "refusal"
    agent.granted(**({"image": "evil.example/x@sha256:" + "0" * 64} if is_refused else {}))
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
        await agent.until(lambda: is_refused or WORK in agent.own.objects)
    assert agent.said("Accepted")[0] == str(not is_refused)
