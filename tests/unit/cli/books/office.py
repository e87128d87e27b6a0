"""A treasurer's desk: a month of trade between institutions, and the commands that settle it."""

from __future__ import annotations

from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from hansa.accounting.postings import Event
from hansa.cli.main import cli
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.settlement.clearings import KEYS, NAMES, SIGNERS
from tests.unit.accounting.usages import usage

IBANS = {
    "clinic": "EE382200221020145685",
    "ut": "DE89370400440532013000",
    "lab": "FI2112345600000785",
}
TRADE = (
    *(("clinic", "lab"), ("clinic", "lab"), ("lab", "ut"), ("lab", "ut"), ("ut", "clinic")),
    ("abroad", "ut"),
)
"""Receipts of 0.40 EUR each."""


def terms_text(**changes: object) -> str:
    members = [
        {
            "institution": name,
            "key": KEYS[name],
            "account": {"name": name, "iban": IBANS[name], "town": "Tartu", "country": "EE"},
        }
        for name in NAMES
    ]
    members[0]["creditLimit"] = "0.10"
    return yaml.safe_dump({"members": members} | changes)


class Office:
    """A treasurer's desk: files, the books, and the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/books.db"
        self.engine = open_engine(self.url)
        migrate(self.engine)
        (folder / "terms.yaml").write_text(terms_text())
        for name, signer in SIGNERS.items():
            (folder / f"{name}.pem").write_bytes(signer.private_pem())

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def trade(self, recorded_ms: int, first: int = 0) -> None:
        writer = LedgerWriter(self.engine)
        uses = [usage(first + n, institution=a, provider=b) for n, (a, b) in enumerate(TRADE)]
        writer.record(uses, recorded_ms)
        writer.happen(Event.POST, [use.receipt_digest for use in uses], recorded_ms)

    def run(self, *arguments: str, terms: bool = True, books: bool = True) -> Result:
        more = (*(("--terms", self.file("terms.yaml")) if terms else ()),)
        more += ("--database", self.url) if books else ()
        return CliRunner().invoke(cli, ["settle", *arguments, *more])

    def propose(self, *more: str) -> Result:
        return self.run("propose", "--month", "2026-11", "--output", self.file("c.json"), *more)

    def sign(self, *names: str) -> None:
        for name in names:
            told = self.run("sign", self.file("c.json"), "--key", self.file(f"{name}.pem"))
            assert told.exit_code == 0, told.exception
            assert f"Signed for {name}" in told.output
