"""Runs of many receipts: what a member signs while a run goes on, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hansa.accounting.postings import Event
from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.api.workgrant import GIVEN_UP_ANNOTATION, WorkGrantSpec
from hansa.model.times import rfc3339
from hansa.receipts.chain import Head
from hansa.receipts.envelope import seal, unseal, wire
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.receipts.work_receipt import WorkReceipt
from hansa.reconcile.member.usage.work_terms import Terms, work_of
from tests.unit.ledger.audits.small_league import SmallLeague

PART_S = 300
GPU_CLASS = "nvidia-rtx-4090"


@dataclass
class LongRun:
    """One run of a member of a small league, which signs as this says."""

    league: SmallLeague
    name: str
    node: str

    def __post_init__(self) -> None:
        self.league.away.add(self.node)
        self.uid = self.league.submit(self.name, self.node, comparator={})
        self.member = self.league.members[self.node]
        self.spec = self.league.hub.objects[self._grant]["spec"]
        now_s = self.league.clock.seconds
        terms = Terms(self.member.signer.key_id, "EE", GPU_CLASS, self.member.spec, now_s)
        work = work_of(WorkGrantSpec.model_validate(self.spec), terms)
        self.metered = MeteredRun(work=work, until=rfc3339(now_s))

    @property
    def _grant(self) -> str:
        return WORKGRANT.path(f"hansa-node-{self.node}", f"{self.uid}-e1")

    async def go_on(self, parts: int) -> None:
        """Hold its machines for so many receipts' time."""
        for _ in range(parts):
            await self.league.tick(PART_S)
            self.sign(Sight(int(self.league.clock.seconds)))

    def sign(self, sight: Sight, **lies: Any) -> None:
        """Sign what is due; ``lies``: what the last of it says otherwise."""
        member = self.member
        for stretch in due(self.metered, sight):
            receipt = draw(member.head, self.metered, sight, stretch)
            if lies and stretch.last:
                receipt = WorkReceipt.model_validate(receipt.model_dump() | lies)
            sealed = seal(receipt, member.signer)
            opened = unseal(wire(sealed), {member.signer.key_id: member.signer.public_key})
            member.head = Head(receipt.sequence, opened.digest, receipt.issued_s)
            member.outbox.append(wire(sealed))
            self.metered = self.metered.after(receipt)

    def end(self, *, end: str = "Succeeded", digest: str | None = None, **lies: Any) -> None:
        """Sign the last receipt."""
        now_s = int(self.league.clock.seconds)
        self.metered = self.metered.model_copy(update={"result_digest": digest})
        self.sign(Sight(now_s, over=True, ended_s=now_s, end_reason=end), **lies)

    def tell(self, *, result: bool = True) -> dict[str, Any]:
        """Tell the hub of its end, as the member tells of all its runs; returns what it told."""
        status = self.member.tell(self.spec, self.league.clock.seconds)
        if not result:
            status.pop("result", None)
        return self._say(status)

    def let_go(
        self, accepted: str = "True", reason: str = "Accepted", *, signs: bool = True
    ) -> None:
        """Have the hub drop it, by a release or by a refusal alone, and say nothing of an end."""
        rows = [{"type": "Accepted", "status": accepted, "reason": reason}]
        self._say(
            {"conditions": rows} | ({"release": {"signature": "its node's"}} if signs else {})
        )

    def _say(self, status: dict[str, Any]) -> dict[str, Any]:
        league = self.league
        league.hub.put(self._grant, {**league.hub.objects[self._grant], "status": status})
        said = {name: status[name] for name in ("conditions", "result") if name in status}
        league._say(league.hub.objects[AIJOB.path("hospital", self.name)], **said)
        return status

    @property
    def is_granted(self) -> bool:
        """Whether its grant is on the hub."""
        return self._grant in self.league.hub.objects

    async def release(self) -> None:
        """Let the hub take its grant away; the member's other runs are as those of a small league."""
        await self.league.hub.delete(self._grant)
        self.league.away.discard(self.node)

    def ask_to_stop(self, **annotations: str) -> None:
        """Have the hub ask for its end."""
        known = self.league.hub.objects[self._grant]
        meta = known["metadata"] | {"annotations": annotations}
        asked = {"metadata": meta, "spec": known["spec"] | {"cancel": "Stop"}}
        self.league.hub.put(self._grant, {**known, **asked})

    def give_up(self) -> None:
        """Have the hub give it up: its node was silent for longer than its job allows."""
        self.ask_to_stop(**{GIVEN_UP_ANNOTATION: "true"})

    def vanish(self) -> None:
        """Have its grant go while the ledger does not look: it finds out by the next list."""
        objects = self.league.hub.objects
        del objects[self._grant]
        grants = [thing for path, thing in objects.items() if "/workgrants/" in path]
        self.league.view._grants.replace(grants)
        self.league.away.discard(self.node)

    def tell_its_job_alone(self) -> None:
        """Have the hub hear of its end while the ledger does not look."""
        told = self.member.tell(self.spec, self.league.clock.seconds)
        said = {name: told[name] for name in ("conditions", "result") if name in told}
        self.league._say(self.league.hub.objects[AIJOB.path("hospital", self.name)], **said)


def pay(league: SmallLeague) -> int:
    """Have all become due that was pending, as a ledger does that does not wait; returns for how many receipts."""
    now_ms = int(league.clock.seconds * 1000)
    return len(league.writer.move_on(Event.POST, now_ms, before_ms=now_ms, decided=True))
