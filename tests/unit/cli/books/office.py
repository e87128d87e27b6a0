"""A treasurer's desk: a month of trade between institutions, its receipts, and the commands that settle it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.accounting.postings import Event
from hansa.accounting.usage import Usage, amount_of
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.api.node.receipts import ReceiptEnvelope
from hansa.cli.main import cli
from hansa.ledger.receipts.evidence import Dispute, Evidence, Taken
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.writer import LedgerWriter
from hansa.model.times import rfc3339
from hansa.receipts.bundle import log_entry
from hansa.receipts.chain import Head
from hansa.receipts.envelope import cosign, digest, seal, unseal
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.receipts.work_receipt import Price, WorkReceipt
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.new_books import new_books
from tests.unit.accounting.settlement.clearings import KEYS, NAMES, SIGNERS
from tests.unit.accounting.usages import BEGAN_MS, usage
from tests.unit.cli.receipts.kept_receipts import kept_record
from tests.unit.receipts.receipt_kit import DIGEST, HUB, work

IBANS = {
    "clinic": "EE382200221020145685",
    "ut": "DE89370400440532013000",
    "lab": "FI2112345600000785",
}
TRADE = (
    *(("clinic", "lab"), ("clinic", "lab"), ("lab", "ut"), ("lab", "ut"), ("ut", "clinic")),
    ("abroad", "ut"),
)
"""(who pays, whose node): receipts of 0.40 EUR each."""
PRICE = Price(gpu_hour="2.40", cpu_hour="0", currency="EUR", tariff=DIGEST)
OPERATORS = {
    name: Ed25519Signer(Ed25519PrivateKey.from_private_bytes(f"node of {name}".encode().ljust(32)))
    for name in (*NAMES, "abroad", "hospital", "tartu", "riga")
}
"""Institution → release key of its one node."""
OWN = NoteSigner.of("hansa.dev/receipts", KeyType.ED25519, HUB)
JOB = "clinic/train"
POLICY = f"log {OWN.key}\nquorum none\n"


def terms_text(**changes: object) -> str:
    members = [
        {
            "institution": name,
            "key": KEYS[name],
            "account": {"name": name, "iban": IBANS[name], "town": "Tartu", "country": "EE"},
            "nodes": [{"name": f"node-{name}", "key": OPERATORS[name].public_key}],
        }
        for name in NAMES
    ]
    members[0]["creditLimit"] = "0.10"
    said = {"members": members, "hub": HUB.public_key, "logPolicy": POLICY}
    return yaml.safe_dump(said | changes)


class Office:
    """A treasurer's desk: files, the books, and the clock."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """``url``: of books that are there; empty: new ones in the folder."""
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/books.db"
        self.engine = open_engine(url) if url else new_books(folder)
        self.heads: dict[str, Head] = {}
        (folder / "terms.yaml").write_text(terms_text())
        for name, signer in SIGNERS.items():
            (folder / f"{name}.pem").write_bytes(signer.private_pem())

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def trade(
        self,
        recorded_ms: int,
        first: int = 0,
        pairs: Iterable[tuple[str, str]] = TRADE,
        events: Iterable[Event] = (Event.POST,),
        *,
        holdback_bp: int = 0,
        idle: bool = False,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> list[str]:
        """Take receipts in as the ledger does, and have events happen to them; returns their digests.

        ``names``: who pays → its job, where it is not ``clinic/train``.
        """
        drawn = [self.receipt(first + n, *pair, idle=idle) for n, pair in enumerate(pairs)]
        for receipt, provider in drawn:
            job = names.get(receipt.work.institution, JOB)
            self.keep(receipt, provider, recorded_ms, job=job)
        writer = LedgerWriter(self.engine, holdback_bp=holdback_bp)
        uses = [
            replace(_use(one, provider), job=names.get(one.work.institution, JOB))
            for one, provider in drawn
        ]
        writer.record(uses, recorded_ms)
        for event in events:
            writer.happen(event, [use.receipt_digest for use in uses], recorded_ms)
        return [use.receipt_digest for use in uses]

    def receipt(
        self, number: int, payer: str, provider: str, *, idle: bool = False
    ) -> tuple[WorkReceipt, str]:
        """Return five minutes of two GPUs, next in the chain of the provider's node; ``idle``: it held none."""
        begin_s = BEGAN_MS // 1000 + 300 * number
        said = work(
            institution=payer,
            node=f"node-{provider}",
            node_key=OPERATORS[provider].key_id,
            job_uid=f"00000000-0000-4000-8000-{number:012x}",
            price=PRICE,
        )
        run = MeteredRun(work=said, until=rfc3339(begin_s))
        ended_s = begin_s if idle else None
        sight = Sight(begin_s + 300, over=True, ended_s=ended_s, end_reason="Succeeded")
        (stretch,) = due(run, sight)
        found = draw(self.heads.get(provider, Head()), run, sight, stretch)
        sealed = seal(found, OPERATORS[provider])
        self.heads[provider] = Head(found.sequence, digest(sealed), found.issued_s)
        return found, provider

    def sealed(self, receipt: WorkReceipt, provider: str) -> ReceiptEnvelope:
        """Return a receipt as its node signs it."""
        return seal(receipt, OPERATORS[provider])

    def keep(
        self,
        receipt: WorkReceipt,
        provider: str,
        recorded_ms: int,
        *disputes: Dispute,
        job: str = JOB,
    ) -> None:
        """Put a receipt into evidence and into the log."""
        sealed = self.sealed(receipt, provider)
        keys = {OPERATORS[provider].key_id: OPERATORS[provider].public_key}
        opened: Any = unseal(sealed, keys)
        kept = sealed if disputes else cosign(sealed, HUB)
        evidence, said = Evidence(self.engine), receipt.work
        record = replace(
            kept_record(),
            node=said.node,
            node_key=said.node_key,
            institution=said.institution,
            job_uid=said.job_uid,
        )
        evidence.remember([Granted(job, provider, record)], recorded_ms)
        evidence.add([Taken(opened, kept, disputes)], recorded_ms)
        index = SqliteLeafIndex(self.folder / "leaves.db")
        store, policy = FileStore(self.folder / "log"), Policy.parse(POLICY.encode())
        log = Appender(store, index, [OWN], policy)
        log.append([log_entry(opened.digest)])
        log.checkpoint(SimpleNamespace(now=lambda: receipt.end_s + 1.0))  # type: ignore[arg-type]
        index.close()

    def run(self, *arguments: str, terms: bool = True, books: bool = True) -> Result:
        more = (*(("--terms", self.file("terms.yaml")) if terms else ()),)
        more += ("--database", self.url) if books else ()
        return CliRunner().invoke(cli, ["settle", *arguments, *more])

    def propose(self, *more: str) -> Result:
        return self.settle("--month", "2026-11", "--output", self.file("c.json"), *more)

    def settle(self, *arguments: str) -> Result:
        """Propose the clearing of any period."""
        return self.run("propose", "--log", self.file("log"), *arguments)

    def hand_out(self, name: str, *more: str, file: str = "c.json") -> str:
        """Have the ledger write what an institution needs to sign; returns where."""
        output = self.file(f"{name}.receipts.json")
        wanted = ("--for", name, "--log", self.file("log"), "--output", output, *more)
        done = self.run("receipts", self.file(file), *wanted)
        assert done.exit_code == 0, done.exception
        return output

    def try_sign(self, name: str, *more: str, file: str = "c.json", books: bool = True) -> Result:
        key = ("--key", self.file(f"{name}.pem"), "--receipts", self.file(f"{name}.receipts.json"))
        return self.run("sign", self.file(file), *key, *more, books=books)

    def sign(self, *names: str) -> None:
        for name in names:
            self.hand_out(name)
            told = self.try_sign(name)
            assert told.exit_code == 0, f"{told.exception}: {told.output}"
            assert f"Signed for {name}" in told.output


def _use(receipt: WorkReceipt, provider: str) -> Usage:
    """Return a receipt as the books see it."""
    said = usage(
        provider=provider,
        receipt_digest=digest(seal(receipt, OPERATORS[provider])),
        institution=receipt.work.institution,
        node=receipt.work.node,
        start_ms=receipt.start_s * 1000,
        end_ms=receipt.end_s * 1000,
        gpu_ms=receipt.usage.gpu_seconds * 1000,
    )
    assert said.amount == amount_of(receipt)
    return said
