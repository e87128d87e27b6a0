"""Receipts a second and core: the check alone, and all that the ledger does with them, by its shipped code.

The check opens a window (form, canonical JSON, the member's signature), holds each receipt against its chain, its run,
its GPUs and its grant, and countersigns it. The whole way also keeps, logs, prices, charges and posts it. Members'
windows are those that travel: 32 at a time. No signature is made by a member while it is measured.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.accounting.examination import Terms
from hansa.accounting.postings import Event
from hansa.accounting.tariff import Rate, Tariff
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.ledger.intake import Intake
from hansa.ledger.lookback import Lookback
from hansa.ledger.receipts.endings import Heard
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.judge import Bench, judge, open_window
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.model.times import rfc3339
from hansa.ports import Cluster, Manifest
from hansa.receipts.chain import Head, Moment
from hansa.receipts.countersign import GrantRecord
from hansa.receipts.envelope import digest, seal, wire
from hansa.receipts.metering import EVERY_S, MeteredRun, Sight, draw, due
from hansa.receipts.outbox import window
from hansa.receipts.work_receipt import HeldGpu, Price, Work
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner

BEGAN_S = 1_793_491_200
A_RUN = 12
"""Receipts of a run: an hour."""
NODES = 20
GPUS = 2
DIGEST = f"sha256:{'a' * 64}"
PRICE = Price(gpu_hour="2.4", cpu_hour="0", currency="EUR", tariff=DIGEST)
HOLDBACK_BP = 1000
SKEW_S = 60.0
WINDOW = 32
PASS_S = 5.0
"""Between passes, as the ledger's own interval is."""


class UncountedError(RuntimeError):
    """Not every receipt came into the books: what was measured counts for nothing."""


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
        self._signer = _signer(self.name)
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


class Rates(NamedTuple):
    """Receipts a second of processor time."""

    checked: int
    """Verified and countersigned."""
    taken: int
    """All of it: also kept, logged, charged and posted."""


def measure(count: int) -> Rates:
    """Return both, of as many receipts; of others, since what was read once is remembered for a while."""
    signer = _signer("hub")
    members = [Member(n, count // NODES, signer.key_id) for n in range(2 * NODES)]
    with _aside():
        return Rates(_checked(members[:NODES], signer), _taken(Hub(members[NODES:]), signer))


@contextmanager
def _aside() -> Iterator[None]:
    """Keep the collector of garbage from looking over what hub and members hold: it is not the ledger's."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield Path(folder)


def _checked(members: Sequence[Member], signer: Ed25519Signer) -> int:
    """Check all windows as the ledger does, those of all nodes by one read; keeping them is not counted."""
    queues = [member.windows() for member in members]
    bench, took_s, count = Bench(signer, Moment(Later().now(), SKEW_S)), 0.0, 0
    with _folder() as folder:
        engine = open_engine(f"sqlite:///{folder}/books.db")
        migrate(engine)
        evidence = Evidence(engine)
        evidence.remember((one for member in members for one in member.grants), 0)
        for shown in zip(*queues, strict=True):
            since = time.process_time()
            opened = {
                member.node_key: open_window(
                    window, {**member.keys, signer.key_id: signer.public_key}
                )
                for member, window in zip(members, shown, strict=True)
            }
            with evidence.before({key: one.receipts for key, one in opened.items()}) as before:
                told = [judge(one, before[key], bench) for key, one in opened.items()]
            took_s += time.process_time() - since
            evidence.add([one for verdict in told for one in verdict.taken], 0)
            count += sum(not one.disputes for verdict in told for one in verdict.taken)
        engine.dispose()
    wanted = sum(len(member.outbox) for member in members)
    if count != wanted:
        raise UncountedError(f"{count} of {wanted} receipts are countersigned")
    return round(wanted / took_s)


def _taken(hub: Hub, signer: Ed25519Signer) -> int:
    with _folder() as folder:
        return asyncio.run(_measure(hub, signer, folder))


async def _measure(hub: Hub, signer: Ed25519Signer, folder: Path) -> int:
    engine, clock = open_engine(f"sqlite:///{folder}/books.db"), Later()
    migrate(engine)
    source = NodeReceipts(
        cast("Cluster", hub),
        cast("HubView", hub),
        Evidence(engine),
        signer=signer,
        clock=clock,
        logbook=_logbook(signer, folder, clock),
        skew_s=SKEW_S,
    )
    writer = LedgerWriter(engine, holdback_bp=HOLDBACK_BP)
    tariffs = {name: Tariff(name, "EUR", (Rate("h100", 2_400_000),)) for name in hub.members}
    terms = partial(Terms, currencies=frozenset({"EUR"}), tariffs=tariffs)
    intake, moved = Intake(source, writer, clock=clock, terms=terms), Lookback(clock)
    wanted = sum(len(member.outbox) for member in hub.members.values())
    since = time.process_time()
    left, passes = wanted, wanted
    while left and passes:
        await intake.step()
        now_ms = int(clock.now() * 1000)
        posted = writer.move_on(Event.POST, now_ms, before_ms=now_ms, since_ms=moved.since_ms())
        moved.done(now_ms)
        left, passes = left - len(posted), passes - 1
        clock.gone_s += PASS_S
    took_s = time.process_time() - since
    standing = LedgerReader(engine).standing()
    engine.dispose()
    if standing.receipts != wanted or standing.differences:
        raise UncountedError(f"{standing} of {wanted} receipts")
    return round(wanted / took_s)


def _logbook(signer: Ed25519Signer, folder: Path, clock: Later) -> Logbook:
    own = NoteSigner.of("example.org/receipts", KeyType.ED25519, signer)
    policy = Policy.of_logs([own.key])
    index = SqliteLeafIndex(folder / "leaves.db")
    return Logbook(Appender(FileStore(folder / "log"), index, [own], policy), clock)


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


def _signer(name: str) -> Ed25519Signer:
    seed = hashlib.sha256(name.encode()).digest()
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))
