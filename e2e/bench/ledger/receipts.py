"""Receipts a second and core: the check alone, and all that the ledger does with them, by its shipped code.

The check opens a window (form, canonical JSON, the member's signature), holds each receipt against its chain, its run,
its GPUs and its grant, and countersigns it. The whole way also keeps, logs, prices, charges and posts it. Members'
windows are those that travel: 32 at a time. No signature is made by a member while it is measured.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from e2e.bench.ledger.members import NODES, Hub, Later, Member, signer_of
from hansa.accounting.examination import Terms
from hansa.accounting.postings import Event
from hansa.accounting.tariff import Rate, Tariff
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.ledger.intake import Intake
from hansa.ledger.lookback import Lookback
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.judge import Bench, judge, open_window
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.ports import Cluster
from hansa.receipts.chain import Moment
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner

HOLDBACK_BP = 1000
SKEW_S = 60.0
SIGNATURES = 1000
PASS_S = 5.0
"""Between passes, as the ledger's own interval is."""


class UncountedError(RuntimeError):
    """Not every receipt came into the books: what was measured counts for nothing."""


class Rates(NamedTuple):
    """Receipts a second of processor time."""

    checked: int
    """Verified and countersigned."""
    taken: int
    """All of it: also kept, logged, charged and posted."""
    signature_us: float
    """What OpenSSL takes to verify one of their signatures just then: what a busy machine makes of a second of its core."""


def measure(count: int) -> Rates:
    """Return both, of as many receipts; of others, since what was read once is remembered for a while."""
    signer = signer_of("hub")
    members = [Member(n, count // NODES, signer.key_id) for n in range(2 * NODES)]
    with _aside():
        checked, signature_us = _checked(members[:NODES], signer), _signature_us(signer)
        return Rates(checked, _taken(Hub(members[NODES:]), signer), signature_us)


def _signature_us(signer: Ed25519Signer) -> float:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signer.public_key))
    message = bytes(1500)
    signature, since = signer.sign(message), time.process_time()
    for _ in range(SIGNATURES):
        key.verify(signature, message)
    return round((time.process_time() - since) * 1e6 / SIGNATURES, 1)


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
            with evidence.recorded({key: one.receipts for key, one in opened.items()}) as recorded:
                told = [judge(one, recorded[key], bench) for key, one in opened.items()]
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
