"""Members that sign receipts, and a hub that shows them: what the ledger is fed with while it is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.ledger.receipts.endings import Heard
from hansa.ledger.receipts.grants import Granted
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.receipts.chain import Head
from hansa.receipts.countersign import GrantRecord
from hansa.receipts.envelope import digest, seal, wire
from hansa.receipts.metering import EVERY_S, MeteredRun, Sight, draw, due
from hansa.receipts.outbox import window
from hansa.receipts.work_receipt import HeldGpu, Price, Work

BEGAN_S = 1_793_491_200
A_RUN = 12
"""Receipts of a run: an hour."""
NODES = 20
GPUS = 2
DIGEST = f"sha256:{'a' * 64}"
PRICE = Price(gpu_hour="2.4", cpu_hour="0", currency="EUR", tariff=DIGEST)
WINDOW = 32


class Later:
    """A clock that has seen all that receipts tell of, and moves on from pass to pass."""

    gone_s = 0.0

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return BEGAN_S + 100 * 86_400.0 + self.gone_s

    def monotonic(self) -> float:
        """Seconds since the first pass."""
        return self.gone_s


class Member:
    """One node: its chain, and how much of it the ledger has taken."""

    def __init__(self, number: int, count: int, league: str) -> None:
        """Sign ``count`` receipts, run after run."""
        self.name, self._league = f"node-{number}", league
        self._signer = signer_of(self.name)
        self.taken = 0
        self.grants: list[Granted] = []
        self.outbox: list[Manifest] = []
        head = Head()
        for run in range((count + A_RUN - 1) // A_RUN):
            head = self._run(head, run, min(A_RUN, count - run * A_RUN))

    @property
    def manifest(self) -> Manifest:
        """Its SovereignNode, as the ledger's mirror has it."""
        shown = window(self.outbox[self.taken : self.taken + WINDOW])
        return {
            "metadata": {"name": self.name},
            "spec": {"releaseKey": self._signer.public_key},
            "status": {"receipts": {"outbox": shown, "waiting": len(shown)}},
        }

    @property
    def keys(self) -> dict[str, str]:
        """Its pinned key."""
        return {self._signer.key_id: self._signer.public_key}

    @property
    def node_key(self) -> str:
        """Id of that key."""
        return self._signer.key_id

    def windows(self) -> Iterator[list[Manifest]]:
        """Yield all that it shows, one window after the other."""
        for at in range(0, len(self.outbox), WINDOW):
            yield self.outbox[at : at + WINDOW]

    def _run(self, head: Head, number: int, parts: int) -> Head:
        start_s = BEGAN_S + number * 2 * A_RUN * EVERY_S
        work = self._work(number)
        self.grants.append(_granted(work, start_s))
        run = MeteredRun(work=work, until=rfc3339(start_s))
        for part in range(1, parts + 1):
            held = tuple(
                HeldGpu(gpu=str(n) * 16, start=run.until, end=rfc3339(start_s + part * EVERY_S))
                for n in range(GPUS)
            )
            (stretch,) = due(run, Sight(start_s + part * EVERY_S, held=held))
            receipt = draw(head, run, Sight(stretch.end_s, held=held), stretch)
            envelope = seal(receipt, self._signer)
            head = Head(receipt.sequence, digest(envelope), receipt.issued_s)
            run = run.after(receipt)
            self.outbox.append(wire(envelope))
        return head

    def _work(self, number: int) -> Work:
        return Work(
            league=self._league,
            node=self.name,
            node_key=self._signer.key_id,
            institution="clinic",
            project="screening",
            job_uid=f"00000000-0000-4000-8000-{int(self.name[5:]):04x}{number:08x}",
            epoch=1,
            spec_digest=DIGEST,
            image_digest=DIGEST,
            data_sets=("scans",),
            jurisdiction="EE",
            purpose="screening",
            gpu_class="h100",
            gpus=GPUS,
            cpu_millis=3000,
            assurance="L1",
            price=PRICE,
        )


class Hub:
    """The hub as the ledger sees it: members' windows, which move on as they are acknowledged."""

    synced = True

    def __init__(self, members: Iterable[Member]) -> None:
        """All grants are heard of at once."""
        self.members = {member.name: member for member in members}
        grants = [one for member in self.members.values() for one in member.grants]
        self._unkept = {one.run: one for one in grants}

    def nodes(self) -> list[Manifest]:
        """Return what the nodes show."""
        return [member.manifest for member in self.members.values()]

    def unkept(self) -> Mapping[str, Granted]:
        """Return grants that are not kept yet."""
        return dict(self._unkept)

    def kept(self, runs: Iterable[str]) -> None:
        """Take note."""
        for run in runs:
            self._unkept.pop(run, None)

    def news(self) -> list[Heard]:
        """Nothing is told but receipts."""
        return []

    def told(self, _: Iterable[Heard]) -> None:
        """Take note."""

    async def look_again(self, _: Manifest) -> list[Granted]:
        """There is no other grant."""
        return []

    async def merge(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Take an acknowledgement, as a member would."""
        name = path.removesuffix("/status").rpartition("/")[2]
        self.members[name].taken = body["status"]["receipts"]["taken"]["sequence"]
        return {}


def _granted(work: Work, granted_s: int) -> Granted:
    record = GrantRecord(
        node=work.node,
        node_key=work.node_key,
        institution=work.institution,
        project=work.project or "",
        job_uid=work.job_uid,
        epoch=work.epoch,
        spec_digest=work.spec_digest,
        image_digest=work.image_digest,
        data_sets=work.data_sets,
        jurisdiction=work.jurisdiction,
        gpu_classes=("h100",),
        gpus=work.gpus,
        cpu_millis=work.cpu_millis,
        price=None,
        granted_s=granted_s,
    )
    return Granted("clinic/train", "ut", record)


def signer_of(name: str) -> Ed25519Signer:
    """Return the key of a node, or the hub: the same each time."""
    seed = hashlib.sha256(name.encode()).digest()
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))
