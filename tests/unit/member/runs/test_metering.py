"""Each run leaves receipts: written before they are shown, shown in the node's status, kept until taken."""

from __future__ import annotations

import json

import pytest

from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.sovereignnode import AuditCall, ClosedEpoch
from hansa.errors import Retryable
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.publisher import Publisher
from hansa.member.witness.cosigner import Cosigner
from hansa.member.witness.memory import WitnessMemory
from hansa.member.witness.witness import Witness
from hansa.receipts.chain import Grant, Known, Moment, follow, next_problem
from hansa.receipts.envelope import Opened, unseal
from hansa.receipts.watermark import acknowledge
from hansa.translog.note import KeyType, Note
from hansa.translog.signatures import NoteSigner, verified
from hansa.verification.course.signed_words import say
from tests.unit.grants.grant_kit import FOREIGN, HUB, NODE, NOW_S, UID
from tests.unit.member.runs.plain_job import NAMESPACE, WORK, PlainJob, Running, working
from tests.unit.reconcile.hub.hub_objects import shown
from tests.unit.translog.small_log import ORIGIN, appender, ed25519, entries, policy

KEYS = {NODE.key_id: NODE.public_key}
NODE_PATH = SOVEREIGNNODE.path(name="tartu")
RUN = f"{UID}.3"


class Metered(Running):
    """An agent with its duties to meter, done when the test says so, on a clock that it moves."""

    def __init__(self, own=None):
        super().__init__(own)
        self.context = self.parts.context
        self.now_s = NOW_S
        self.context.clock.now = lambda: (
            self.now_s
        )  # the instance alone: each has a clock of its own
        spec = {"prices": [], "cpuHourPrice": "0.02", "currency": "EUR"}
        self.hub.put(NODE_PATH, {"metadata": {"name": "tartu"}, "spec": spec})

    async def look(self, at_s):
        self.now_s = NOW_S + at_s
        await self.parts.metering.ask_hub()
        await self.parts.metering.look()

    def shown(self):
        """The receipts in the status that the publisher would send now."""
        publisher = Publisher(self.context, release_key="", token_end_s=lambda: None)
        status = publisher._node_body()["status"]
        found = [unseal(one, KEYS) for one in status.get("receipts", {}).get("outbox", [])]
        assert all(isinstance(one, Opened) for one in found)
        return found

    def take(self, opened, by=HUB):
        mark = acknowledge(
            by,
            node_key=NODE.key_id,
            sequence=opened.receipt.sequence,
            digest=opened.digest,
            at="2027-01-15T09:00:00Z",
        )
        wire = mark.model_dump(by_alias=True, mode="json")
        node = self.hub.objects[NODE_PATH]
        self.hub.put(NODE_PATH, {**node, "status": {"receipts": {"taken": wire}}})

    async def started(self):
        await self.until(lambda: WORK in self.own.objects)
        work = self.own.objects[WORK]
        self.own.put(WORK, {**work, "status": {"startTime": "2027-01-15T08:00:05Z"}})
        await self.until(lambda: self.said("Running") is not None)

    async def ended(self):
        work = self.own.objects[WORK]
        ended = {"succeeded": 1, "completionTime": "2027-01-15T08:06:40Z"}
        self.own.put(WORK, {**work, "status": work["status"] | ended})
        await self.until(lambda: self.said("Released") is not None)
        await self.until(lambda: NAMESPACE not in self.own.objects)


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Metered()


async def test_a_run_is_metered_from_its_acceptance_to_its_release(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(10)
        assert agent.shown() == []
        await agent.look(301)
        assert len(agent.shown()) == 1
        agent.now_s = NOW_S + 405
        await agent.ended()
        await agent.look(420)
    first, last = [one.receipt for one in agent.shown()]
    assert (first.start_s, first.end_s, last.end_s) == (NOW_S, NOW_S + 301, NOW_S + 420)
    assert (first.last, last.last, last.end_reason) == (False, True, "Succeeded")
    # The job ended at 08:06:40, and what came then was the clearing away.
    cpus = sum(one.usage.cpu_milliseconds for one in (first, last))
    assert cpus == 400 * first.work.cpu_millis
    assert first.work.price is not None
    assert (first.work.price.cpu_hour, first.work.jurisdiction) == ("0.02", "EE")
    grant = Grant(NOW_S, first.work.spec_digest, NODE.key_id)
    known = Known()
    for opened in agent.shown():
        assert next_problem(opened, known, grant, Moment(agent.now_s, 0)) is None
        known = follow(known, opened)


async def test_what_the_ledger_says_is_heard_and_answered_in_the_node_s_status(agent):
    """Its level is in the receipts of what is accepted from then on; its keys are told when called for."""
    closed = ClosedEpoch(epoch=6, size=3, root="sha256:" + "a" * 64)
    call = say(HUB, AuditCall, node_key=NODE.key_id, epoch=7, closed=closed)
    node = agent.hub.objects[NODE_PATH]
    told = {
        "assurance": shown(NODE, "L1", NOW_S + 900, by=HUB),
        "audits": {"call": call.model_dump(by_alias=True, mode="json")},
    }
    agent.hub.put(NODE_PATH, {**node, "status": told})
    agent.context.dirty.clear()
    agent.granted()
    async with working(agent):
        await agent.look(1)
        assert agent.context.dirty.is_set()
        publisher = Publisher(agent.context, release_key="", token_end_s=lambda: None)
        said = publisher._node_body()["status"]["audits"]
        assert (said["commitment"]["epoch"], said["reveal"]["epoch"]) == (8, 6)
        await agent.started()
        await agent.look(301)
    assert [one.receipt.work.assurance for one in agent.shown()] == ["L1"]


async def test_what_is_shown_is_durable_before(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(10)
        merge = agent.own.merge

        async def lost(path, body):
            if "hansa-receipts" in path:
                raise Retryable("no answer")
            return await merge(path, body)

        agent.own.merge = lost
        agent.own.create = _but_receipts(agent.own.create)
        with pytest.raises(Retryable):
            await agent.look(301)
    assert agent.shown() == []
    assert agent.context.receipts.head.sequence == 0


def _but_receipts(create):
    async def lost(path, body):
        if "hansa-receipts" in body["metadata"]["name"]:
            raise Retryable("no answer")
        return await create(path, body)

    return lost


async def test_a_run_too_short_to_be_seen_by_a_look_has_its_receipt(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        agent.now_s = NOW_S + 405
        await agent.ended()
        assert RUN in agent.context.receipts.runs
        await agent.look(410)
    (only,) = agent.shown()
    assert (only.receipt.start_s, only.receipt.last) == (NOW_S, True)


async def test_receipts_go_on_without_the_hub(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(10)

        async def silent(_):
            raise Retryable("no answer")

        agent.hub.get = silent
        await agent.look(301)
        await agent.look(601)
    assert [one.receipt.part for one in agent.shown()] == [1, 2]


async def test_a_run_that_is_gone_here_and_at_the_hub_is_over_and_costs_no_more(agent):
    """Ended while no agent looked, and the hub was put back from a backup: nobody asks for it again."""
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(310)
    await agent.own.delete(NAMESPACE)

    again = Metered(agent.own)
    await again.context.epochs.load()
    async with working(again):
        await again.context.grants.wait_synced()
        for at_s in (9000, 9005, 20_000):
            await again.look(at_s)
        assert again.context.epochs.records.get(UID, 3).outcome is Outcome.ENDED
        again.granted()  # the hub has found it after all
        await again.until(lambda: again.said("Accepted") == ("False", "StaleEpoch"))
        await again.look(30_000)
    parts = [(r.part, r.usage.gpu_seconds, r.last) for r in (o.receipt for o in again.shown())]
    assert parts == [(1, parts[0][1], False), (2, 0, True)]
    assert again.context.receipts.runs == {}


async def test_a_taken_receipt_is_shown_no_more_and_is_kept(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(301)
        (first,) = agent.shown()
        agent.take(first)
        await agent.look(310)
    assert agent.shown() == []
    kept = [
        json.loads(line)
        for path, thing in agent.own.objects.items()
        if "hansa-receipts" in path
        for line in thing["data"].values()
    ]
    assert [unseal(one, KEYS).digest for one in kept] == [first.digest]


async def test_a_watermark_of_a_hub_that_is_not_trusted_takes_nothing(agent, caplog):
    agent.granted()
    async with working(agent):
        await agent.started()
        await agent.look(301)
        (first,) = agent.shown()
        agent.take(first, by=FOREIGN)
        await agent.look(310)
    assert agent.shown() == [first]
    assert "watermark not taken" in caplog.text


STRANGE = {
    "no spec": {"metadata": {"name": "tartu"}},
    "text": {"metadata": {"name": "tartu"}, "spec": "x", "status": "y"},
    "receipts of text": {"metadata": {"name": "tartu"}, "spec": {}, "status": {"receipts": "z"}},
    "taken nonsense": {
        "metadata": {"name": "tartu"},
        "spec": {},
        "status": {"receipts": {"taken": 7}},
    },
    "no price": {"metadata": {"name": "tartu"}, "spec": {"prices": "free", "assurance": 9}},
}


@pytest.mark.parametrize("node", STRANGE.values(), ids=STRANGE.keys())
async def test_whatever_a_hub_shows_work_is_metered(agent, node):
    agent.granted()
    agent.hub.objects[NODE_PATH] = node
    async with working(agent):
        await agent.started()
        await agent.look(301)
    assert len(agent.shown()) == 1


async def test_a_clock_known_to_be_wrong_signs_nothing(agent):
    agent.granted()
    async with working(agent):
        await agent.started()
        agent.context.hub_skew = lambda: 3600.0
        await agent.look(301)
        assert agent.shown() == []
        agent.context.hub_skew = lambda: 0.0
        await agent.look(310)
    assert len(agent.shown()) == 1


HUGE = "9" * 20
ABSURD = {
    "CPUs of the head": {"head": {"cpu": HUGE}},
    "CPUs of the workers": {"workers": {"count": 1, "cpu": HUGE}},
}


@pytest.mark.parametrize("ray", ABSURD.values(), ids=ABSURD)
async def test_a_job_that_asks_for_more_cpus_than_there_are_stops_no_metering(agent, ray):
    agent.granted(ray={"version": "2.60.0", "workers": {"count": 1}} | ray)
    async with working(agent):
        await agent.started()
        await agent.look(301)
        assert len(agent.shown()) == 1
        agent.now_s = NOW_S + 405
        await agent.ended()
        await agent.look(420)
    assert agent.shown()[-1].receipt.last


async def test_a_price_nested_without_end_holds_up_the_end_of_no_run(agent):
    deep = "0"
    for _ in range(5000):
        deep = [deep]
    agent.granted()
    agent.hub.objects[NODE_PATH] = {
        "metadata": {"name": "tartu"},
        "spec": {"cpuHourPrice": deep},
    }
    async with working(agent):
        await agent.started()
        await agent.parts.metering.ask_hub()
        agent.now_s = NOW_S + 405
        await agent.ended()
        await agent.look(410)
    assert agent.shown()[-1].receipt.last


async def test_a_witness_cosigns_what_its_own_node_is_asked_and_shows_it():
    agent, of_the_hub = Metered(), NoteSigner.of(ORIGIN, KeyType.ED25519, HUB)
    log = appender(rules=policy("quorum none", log=of_the_hub), signers=[of_the_hub])
    signers, own = (ed25519("ut.ee"),), WitnessMemory(agent.own, "hansa-system")
    agent.context.cosigner = Cosigner(ORIGIN, signers, own, agent.context.clock)
    await Witness(own, signers, (), agent.context.clock).enrol(ORIGIN, [])
    log.append(entries(0, 5))
    log.checkpoint(agent.context.clock)
    node = agent.hub.objects[NODE_PATH]
    asked = {"request": log.request(0).encode().decode()}
    agent.hub.put(NODE_PATH, {**node, "status": {"witness": asked}})
    agent.context.dirty.clear()
    await agent.look(15)
    assert agent.context.dirty.is_set()
    said = Publisher(agent.context, release_key="", token_end_s=lambda: None)._node_body()["status"]
    note = Note.parse(said["witness"]["cosigned"].encode())
    assert note.text == log.head.text
    assert [one.key for one in verified(note, [ed25519("ut.ee").key])] == [ed25519("ut.ee").key]
