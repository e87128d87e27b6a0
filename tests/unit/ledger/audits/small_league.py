"""A league in memory: the ledger's real duties, a hub that places as told, members that run nothing and sign all."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from hansa.accounting.examination import Terms as Agreed
from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE, WORKGRANT
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.ledger.audits.opening import open_audits
from hansa.ledger.intake import Intake
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.settings import Audits as Settings
from hansa.ledger.settings import LedgerSettings, Probes
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.model.times import rfc3339
from hansa.observability.events import Event
from hansa.reconcile.hub.charging.tariffs import tariff_of
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.accounting.usages import usage
from tests.unit.grants.grant_kit import HUB, NOW_S, grant, job
from tests.unit.ledger.audits.merging_cluster import Clock, KilledError, MergingCluster
from tests.unit.ledger.audits.small_members import INSTITUTIONS, RUN_S, Member
from tests.unit.ledger.receipts.ledger_kit import heard, merged

KEYS = {HUB.key_id: HUB.public_key}
EPOCH_S = 100


class SmallLeague:
    """Ledger, hub and members, moved on by ``tick``."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        holdback_bp: int = 1000,
        probing: Probes = Probes(),  # noqa: B008  # it does not change
        device_roots: str = "",
    ) -> None:
        self.device_roots = device_roots
        self.probing, self.dice = probing, np.random.default_rng(7)
        self.engine, self.clock, self.hub = engine, Clock(), MergingCluster(NOW_S - 600)
        self.members = {name: Member(name) for name in INSTITUTIONS}
        self.refusing: set[str] = set()
        """Nodes at which the hub's planner places nothing, by law."""
        self.changed_result = ""
        """What somebody writes over the results that jobs show; empty: nobody does."""
        self.away: set[str] = set()
        """Nodes that run nothing that they are granted."""
        for name, member in self.members.items():
            thing = {"metadata": {"name": name}, "spec": member.spec, "status": {}}
            self.hub.put(SOVEREIGNNODE.path(name=name), thing)
        self.hub.put(
            COMPUTEPOOL.path(name="league"), {"metadata": {"name": "league"}, "spec": POOL}
        )
        own = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
        policy = Policy.of_logs([own.key])
        index = SqliteLeafIndex(folder / "leaves.db")
        self.logbook = Logbook(
            Appender(FileStore(folder / "log"), index, [own], policy), self.clock
        )
        self.view = HubView(self.hub, self.clock)
        self.source = NodeReceipts(
            *(self.hub, self.view, Evidence(engine)),
            signer=HUB,
            clock=self.clock,
            logbook=self.logbook,
            skew_s=30,
        )
        self.writer = LedgerWriter(engine, holdback_bp=holdback_bp)
        self.reader = LedgerReader(engine)
        tariffs = {
            name: tariff_of(name, SovereignNodeSpec.model_validate(member.spec))
            for name, member in self.members.items()
        }
        self.intake = Intake(
            self.source,
            self.writer,
            clock=self.clock,
            terms=lambda now_ms: Agreed(now_ms, frozenset({"EUR"}), tariffs),
        )
        self.events: list[Event] = []
        self.crash_after = 0
        """Writes to the hub after which the ledger dies in each pass; 0: never."""
        self.audits = self.opened()

    def opened(self) -> Any:
        """Return the duty as a process that has just started has it."""
        audits = Settings(
            epoch_seconds=EPOCH_S,
            reveal_seconds=50,
            patience_seconds=500,
            device_roots=self.device_roots,
        )
        settings = LedgerSettings(audits=audits, probes=self.probing)
        chance, emit = self.dice.bytes, self.events.append
        return open_audits(
            settings, self.hub, self.engine, self.source, self.clock, emit=emit, draw=chance
        )

    def submit(self, name: str, node: str, **changes: Any) -> str:
        """Have the hub place a job; returns its uid."""
        body = {"metadata": {"name": name, "namespace": "hospital"}, "spec": job(**changes)}
        return self._grant(self._add(body), node)

    def _add(self, body: dict[str, Any]) -> dict[str, Any]:
        body["metadata"]["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, body["metadata"]["name"]))
        return self.hub.put(AIJOB.path("hospital", body["metadata"]["name"]), body)

    def _grant(self, thing: dict[str, Any], node: str) -> str:
        meta = thing["metadata"]
        self._say(thing, node=node, epoch=1)
        spec = grant(
            thing["spec"],
            node=node,
            audience=self.members[node].signer.key_id,
            job={"namespace": "hospital", "name": meta["name"], "uid": meta["uid"]},
            epoch=1,
            notAfter=rfc3339(self.clock.seconds + 3600),
        )
        path = WORKGRANT.path(f"hansa-node-{node}", f"{meta['uid']}-e1")
        self.hub.put(path, {"metadata": {"name": f"{meta['uid']}-e1"}, "spec": spec})
        return str(meta["uid"])

    def _say(self, thing: dict[str, Any], **status: Any) -> None:
        meta = thing["metadata"]
        path = AIJOB.path("hospital", meta["name"])
        known = self.hub.objects[path]
        self.hub.put(path, {**known, "status": {**known.get("status", {}), **status}})

    async def tick(self, seconds: float = 10) -> None:
        """Let time pass: jobs are placed, runs end, and the ledger does its duties."""
        self.clock.seconds += seconds
        self._place()
        self._run()
        for name, member in self.members.items():
            await self._show(name, member)
        await heard(self.view)
        await self.intake.step()
        self.hub.writes_left = self.crash_after or 1 << 30
        try:
            await self.audits.step()
        except KilledError:
            pass
        finally:
            self.hub.writes_left = 1 << 30

    async def flash(self, name: str, node: str, **changes: Any) -> None:
        """Have a job run and its grant go again before the ledger's next pass."""
        uid = self.submit(name, node, **changes)
        await heard(self.view)
        path = WORKGRANT.path(f"hansa-node-{node}", f"{uid}-e1")
        self.hub.objects[path]["began_s"] = self.clock.seconds - RUN_S
        self._run()
        await heard(self.view)

    async def ticks(self, number: int) -> None:
        for _ in range(number):
            await self.tick()

    async def until(self, what: Callable[[], bool], *, at_most: int = 100) -> None:
        """Let time pass until something is so."""
        for _ in range(at_most):
            if what():
                return
            await self.tick()
        raise AssertionError(f"not so after {at_most} ticks")

    def _place(self) -> None:
        for path, thing in list(self.hub.objects.items()):
            audit = thing.get("spec", {}).get("audit") if "/aijobs/" in path else None
            if audit is None or thing.get("status", {}).get("node"):
                continue
            if "uid" not in thing["metadata"] or thing["metadata"]["uid"] == path:
                thing = self._add(thing)  # noqa: PLW2901  # with a uid as uids are
            if audit["node"] in self.refusing:
                rows = [{"node": audit["node"], "reason": "ResidencyDenied", "message": "no"}]
                self._say(thing, verdicts=rows)
            else:
                self._grant(thing, audit["node"])

    def _run(self) -> None:
        for path, thing in list(self.hub.objects.items()):
            if "/workgrants/" not in path or thing["spec"]["node"] in self.away:
                continue
            member, spec = self.members[thing["spec"]["node"]], thing["spec"]
            began_s = thing.setdefault("began_s", self.clock.seconds)
            if self.clock.seconds - began_s < RUN_S:
                continue
            if not thing.get("signed"):
                member.run(spec, self.clock.seconds)
            if member.tells_late and not thing.get("signed"):
                thing["signed"] = True
                continue
            status = member.tell(spec, self.clock.seconds)
            self.hub.put(path, {**thing, "status": status})
            known = self.hub.objects.get(AIJOB.path("hospital", spec["job"]["name"]))
            if known is not None:
                said = {name: status[name] for name in ("conditions", "result") if name in status}
                if self.changed_result and "result" in said:
                    said["result"] = self.changed_result
                self._say(known, **said)
            del self.hub.objects[path]

    async def _show(self, name: str, member: Member) -> None:
        path = SOVEREIGNNODE.path(name=name)
        thing = self.hub.objects[path]
        if member.takes_part:
            await member.auditor.hear(thing, KEYS)
            await member.hardware.hear(thing, KEYS)
        status = merged(
            thing["status"],
            {"receipts": {"outbox": member.outbox[-32:]}, "audits": member.audits},
        ) | {"hardware": member.hardware.wire}
        self.hub.put(path, {**thing, "status": status})

    def move(self, name: str, **changes: str) -> None:
        """Change what the league's admin entered for a node."""
        member, path = self.members[name], SOVEREIGNNODE.path(name=name)
        member.changes = changes
        self.hub.put(path, {**self.hub.objects[path], "spec": member.spec})

    def forget(self, thing: dict[str, Any]) -> None:
        """Delete a job and its grant, as its owner may."""
        del self.hub.objects[AIJOB.path("hospital", thing["metadata"]["name"])]
        for path, grant_ in list(self.hub.objects.items()):
            if (
                "/workgrants/" in path
                and grant_["spec"]["job"]["name"] == thing["metadata"]["name"]
            ):
                del self.hub.objects[path]

    def tamper(self, thing: dict[str, Any], **changes: Any) -> None:
        """Change a job before it is placed, as its owner may, and have it placed."""
        self.forget(thing)
        body = {"metadata": {"name": thing["metadata"]["name"], "namespace": "hospital"}}
        self._add(body | {"spec": thing["spec"] | changes})

    def hold(self, number: int) -> None:
        """Have so many runs of tartu in the books, all of whose pay is still pending."""
        self.writer.record([usage(n, institution="hospital") for n in range(number)], 1)

    def audit_jobs(self) -> list[dict[str, Any]]:
        """The audits that stand on the hub, in the order in which they were asked."""
        found = [thing for path, thing in self.hub.objects.items() if "/aijobs/audit-" in path]
        return sorted(found, key=lambda one: one["metadata"]["name"].rpartition("-")[2])

    def told(self, name: str) -> dict[str, Any]:
        """What a job's owner is told."""
        status = self.hub.objects[AIJOB.path("hospital", name)].get("status", {})
        return dict(status.get("assurance", {}))

    def level(self, node: str) -> str:
        """What the league says that a node has shown."""
        return str(self.hub.objects[SOVEREIGNNODE.path(name=node)]["status"]["assurance"]["level"])

    def accounts(self) -> dict[tuple[str, str], int]:
        """(institution, account) → micros, of those that are not empty."""
        found: dict[tuple[str, str], int] = {}
        for (_, account), micros in self.reader.books().balances.items():
            key = account.institution, account.kind.value
            found[key] = found.get(key, 0) + micros
        return {key: micros for key, micros in found.items() if micros}


CPU_ONLY = {"version": "2.60.0", "workers": {"count": 2}}
POOL = {
    "residency": {
        "location": {"allow": ["World"]},
        "legalControl": {"allow": ["World"]},
    },
    "verification": {"floorPercent": 1},
}
