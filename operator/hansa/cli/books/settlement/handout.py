"""``settle export`` and ``receipts``: what goes to each institution, so that it needs nobody's word to sign."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from sqlalchemy import Engine

from hansa.accounting.exports.posting_lines import posting_lines
from hansa.accounting.settlement.signed import clearing_of, read_signed
from hansa.cli.books.database import with_books, with_engine
from hansa.cli.books.settlement.countersign import FILE
from hansa.cli.books.settlement.own_receipts import BEFORE, settled_before
from hansa.cli.books.settlement.terms import SettlementTerms, with_terms
from hansa.cli.display import say
from hansa.cli.proofs import disputed, proof_of, prover_of
from hansa.errors import Terminal
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.sides import Side
from hansa.receipts.bundle import MOST_RECEIPTS, Bundle, BundledReceipt
from hansa.translog.log.prover import Prover


@click.command
@FILE
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the postings, as JSON lines.",
)
@with_books
def export(file: Path, output: Path, books: LedgerReader) -> None:
    """Write all postings that the clearing in FILE follows from: those before its moment.

    With them `settle check` and `settle sign` need no database. What a receipt brought about is known by
    its digest, which its member has signed and the log holds.
    """
    until_ms = clearing_of(read_signed(file.read_bytes())).period.until_ms
    with output.open("wb") as lines:
        lines.writelines(posting_lines(r for r in books.postings() if r.recorded_ms < until_ms))
    say(f"Written to {output}")


@click.command
@FILE
@with_terms
@click.option("--for", "institution", required=True, help="Institution that they are for.")
@click.option(
    "--log",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the transparency log: each receipt gets the proof of its place.",
)
@BEFORE
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the receipts, a bundle.",
)
@with_engine
def receipts(  # one parameter an option
    file: Path,
    *,
    terms: SettlementTerms,
    institution: str,
    log: Path,
    before: tuple[Path, ...],
    output: Path,
    engine: Engine,
) -> None:
    """Write the receipts that an institution's side of the clearing in FILE follows from, with their proofs.

    They are of work that it pays for and of its own nodes, and of nobody else: hand them to it alone.
    """
    clearing = clearing_of(read_signed(file.read_bytes()))
    if institution not in terms.keys:
        raise Terminal(f"--for: {institution} is not in the terms", reason="NoTerms")
    settled = settled_before(before, institution, clearing, terms)
    side = Side(
        institution,
        frozenset(key for key, name in terms.operators.items() if name == institution),
        settled[-1].period.until_ms if settled else 0,
        clearing.period.until_ms,
    )
    prover, size = prover_of(log, None), clearing.period.log_size
    found = tuple(islice(_bundled(Evidence(engine), side, prover), MOST_RECEIPTS + 1))
    if len(found) > MOST_RECEIPTS:
        text = f"{institution} has more than {MOST_RECEIPTS} receipts in this period: settle more often"
        raise Terminal(f"{text}, and name the last clearing with --before", reason="TooMany")
    state = prover.extends(size).encode().decode() if size else None
    bundle = Bundle(receipts=found, log_state=state)
    output.write_bytes(bundle.model_dump_json(by_alias=True, exclude_none=True).encode())
    say(f"Written to {output}: {len(found)} receipts")


def _bundled(evidence: Evidence, side: Side, prover: Prover) -> Iterator[BundledReceipt]:
    for digest, envelope, disputes in evidence.of_side(side):
        proof = proof_of(prover, digest)
        yield BundledReceipt(envelope=envelope, proof=proof, differences=disputed(disputes))
