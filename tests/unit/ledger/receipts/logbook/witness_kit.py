"""A league whose log is cosigned: the ledger's side and the members' agents over one small hub."""

from __future__ import annotations

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import Retryable
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.witnesses import Witnesses
from hansa.member.witness.cosigner import Cosigner
from hansa.member.witness.memory import WitnessMemory
from hansa.member.witness.witness import Witness
from hansa.receipts.bundle import log_entry
from tests.unit.ledger.audits.merging_cluster import MergingCluster
from tests.unit.ledger.receipts.ledger_kit import heard
from tests.unit.member.witness.map_server import Server
from tests.unit.translog.small_log import ORIGIN, SetClock, appender, ed25519, log_signer, policy

HUB_KEYS = [log_signer().signer.public_key]


class Member:
    """One member's agent, in so far as it is a witness, and its ConfigMaps."""

    def __init__(self, name, signers, origin=ORIGIN):
        self.name, self.signers, self.origin = name, signers, origin
        self.own, self.clock = Server(), SetClock()
        self.start()

    def start(self):
        memory = WitnessMemory(self.own, "here")
        self.cosigner = Cosigner(self.origin, self.signers, memory, self.clock)

    async def enrol(self):
        memory = WitnessMemory(self.own, "here")
        await Witness(memory, self.signers, (), self.clock).enrol(self.origin, [])

    async def look(self, hub):
        """Read its own node and apply what it says, as agent and publisher do."""
        path = SOVEREIGNNODE.path(name=self.name)
        self.clock.at += 15
        await self.cosigner.hear(hub.objects[path], HUB_KEYS)
        said = hub.objects[path]["status"].get("witness") or {}
        asked = {name: said[name] for name in ("request",) if name in said}
        hub.put(path, node(self.name, {**asked, **self.cosigner.wire}))


def node(name, said=None):
    status = {} if said is None else {"witness": said}
    return {"metadata": {"name": name}, "spec": {}, "status": status}


class League:
    """A log, its ledger's side, and members."""

    def __init__(self, rules, members, signers=None):
        self.rules = policy(rules, signers or {one.name: ed25519(one.name) for one in members})
        self.log = appender(rules=self.rules)
        self.clock, self.members = SetClock(), members
        self.hub = MergingCluster(self.clock.now())
        self.view = HubView(self.hub, self.clock)
        logbook = Logbook(self.log, self.clock)
        self.witnesses = Witnesses(self.hub, self.view, logbook, self.clock)
        for member in members:
            self.hub.put(SOVEREIGNNODE.path(name=member.name), node(member.name))
        self.logged = []

    def grow(self, count=3):
        """Log receipts, and publish a checkpoint."""
        new = [f"sha256:{len(self.logged) + n:064x}" for n in range(count)]
        self.logged += new
        self.log.append([log_entry(one) for one in new])
        self.log.checkpoint(self.clock)

    async def step(self):
        """Do one pass of the ledger."""
        await heard(self.view)
        self.clock.at += 5
        await self.witnesses.step()

    async def turn(self, *, grows=0):
        """Let the ledger ask, the log grow for some passes, the agents answer, and the ledger hear of it."""
        await self.step()
        for _ in range(3 if grows else 0):
            self.grow(grows)
            await self.step()
        for member in self.members:
            await member.look(self.hub)
        await self.step()

    def proved(self):
        """Return how many receipts have a proof that the policy believes."""
        count = 0
        for one in self.logged:
            try:
                self.log.prove(log_entry(one)).verify(log_entry(one), self.rules)
            except Retryable:
                continue
            count += 1
        return count

    def said(self, name):
        return self.hub.objects[SOVEREIGNNODE.path(name=name)]["status"].get("witness") or {}


def another_hub():
    return [Ed25519Signer.generate().public_key]


def witness(name, *more):
    return Member(name, (ed25519(name), *more))
