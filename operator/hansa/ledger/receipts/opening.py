"""Opens what the source of receipts needs: the hub's key, the evidence, and the log with its policy."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.errors import Terminal
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.settings import LedgerSettings, Log
from hansa.ledger.source import NoReceipts, ReceiptSource
from hansa.ports import Clock, Cluster, Signer
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner


def open_source(
    settings: LedgerSettings, cluster: Cluster, hub: HubView, engine: Engine, clock: Clock
) -> ReceiptSource:
    """Return where receipts come from; raises ``Terminal`` for a key or a policy that is none."""
    if not settings.signing.key_file:
        return NoReceipts()
    signer = Ed25519Signer.from_file(Path(settings.signing.key_file))
    return NodeReceipts(
        cluster,
        hub,
        Evidence(engine),
        signer=signer,
        clock=clock,
        logbook=open_log(settings.log, signer, clock),
        skew_s=settings.intake.clock_skew_seconds,
    )


def open_log(settings: Log, signer: Signer, clock: Clock) -> Logbook | None:
    """Return the log, taken up where its checkpoint left it; None: there is to be none.

    Raises ``Terminal`` where another ledger keeps it.
    """
    if not settings.folder:
        return None
    own = NoteSigner.of(settings.origin, KeyType.ED25519, signer)
    text = None
    if settings.policy:
        try:
            text = Path(settings.policy).read_bytes()
        except OSError as error:
            raise Terminal(f"log.policy: {error}", reason="NoPolicy") from error
    store = FileStore(Path(settings.folder))
    # Two writers would sign two trees of one size, which convicts the league.
    store.hold()
    index = SqliteLeafIndex(Path(settings.index))
    policy = Policy.of_logs([own.key]) if text is None else Policy.parse(text)
    appender = Appender(store, index, [own], policy)
    return Logbook(appender, clock, identity=store.identity())
