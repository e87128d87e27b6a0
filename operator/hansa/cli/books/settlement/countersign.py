"""``settle check``, ``sign`` and ``record``: a clearing is believed when it was worked out anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from hansa.accounting.books import Books, books_of
from hansa.accounting.exports.posting_lines import read_posting_lines
from hansa.accounting.postings import Posting
from hansa.accounting.settlement import own_side
from hansa.accounting.settlement.clearing import Clearing, departures
from hansa.accounting.settlement.signed import (
    SignedClearing,
    clearing_of,
    countersign,
    merged,
    read_signed,
    unwarranted,
)
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.cli.books.database import with_database, with_engine
from hansa.cli.books.settlement.own_receipts import OwnFiles, with_own_files
from hansa.cli.books.settlement.propose import show_clearing
from hansa.cli.books.settlement.terms import SettlementTerms, with_terms
from hansa.cli.database import books_at
from hansa.cli.display import say
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Source:
    """The books that a clearing is worked out from."""

    database: str
    postings: Path | None
    """An export of them; None: the database is asked."""

    def rows(self, until_ms: int) -> Iterator[Posting]:
        """Yield the postings recorded before a moment."""
        if self.postings is None:
            with books_at(self.database) as engine:
                rows = LedgerReader(engine).postings()
                yield from (row for row in rows if row.recorded_ms < until_ms)
            return
        with self.postings.open("rb") as lines:
            yield from (row for row in read_posting_lines(lines) if row.recorded_ms < until_ms)

    def books(self, until_ms: int) -> Books:
        """Return the books before a moment."""
        if self.postings is None:
            with books_at(self.database) as engine:
                return LedgerReader(engine).books(until_ms)
        return books_of(self.rows(until_ms))


def with_source(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --postings beside --database, and pass both on as ``source``."""

    @with_database
    @click.option(
        "--postings",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Work it out from an export (`settle export`) instead of the database.",
    )
    @wraps(command)
    def inner(*args: Any, database: str, postings: Path | None, **kwargs: Any) -> Any:
        return command(*args, source=Source(database, postings), **kwargs)

    return inner


@click.command
@FILE
@with_terms
@click.option(
    "--for", "institution", help="Hold its side against --receipts too, as `settle sign` does."
)
@with_own_files(is_needed=False)
@with_source
def check(
    file: Path,
    *,
    terms: SettlementTerms,
    institution: str | None,
    files: OwnFiles | None,
    source: Source,
) -> None:
    """Work the clearing in FILE out anew, and say who has signed it.

    Exits with 1 where it departs from the books or the terms, or not all have signed; with --for and --receipts also
    where that institution's side departs from its receipts.
    """
    if (institution is None) != (files is None):
        raise click.UsageError("--for and --receipts go together")
    signed = read_signed(file.read_bytes())
    clearing = clearing_of(signed)
    show_clearing(clearing)
    found = [*objections(clearing, terms, source.books), *unwarranted(signed, terms.keys)]
    if institution is not None and files is not None:
        found += _of_own_side(institution, clearing, terms, files=files, source=source)
    for text in found[:MOST_TOLD]:
        say(text)
    if found:
        raise Terminal(f"{len(found)} things speak against {file}")
    say("It is what the books give, and all have signed it.")


@click.command
@FILE
@with_terms
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with your institution's private key.",
)
@with_own_files(is_needed=True)
@with_source
def sign(file: Path, *, terms: SettlementTerms, key: Path, files: OwnFiles, source: Source) -> None:
    """Work the clearing in FILE out anew from receipts and, where it is right, sign it for your institution.

    Every posting that your institution is a party to has to follow from a receipt in --receipts which its node signed,
    the hub countersigned and the log has; every such receipt has to be posted; of your own nodes none may be left out.
    What follows from no receipt (a correction, what an audit took) is named until you name it too. What differs is
    told, and nothing is signed.
    """
    signer = Ed25519Signer.from_file(key)
    signed = read_signed(file.read_bytes())
    clearing = clearing_of(signed)
    whose = [name for name, key_id in terms.signers.items() if key_id == signer.key_id]
    if not whose:
        raise Terminal(f"{key} is the key of no institution in the terms")
    show_clearing(clearing)
    _refuse_objections(clearing, terms, source.books)
    _refuse(_of_own_side(whose[0], clearing, terms, files=files, source=source))
    file.write_bytes(countersign(signed, signer).wire())
    say(f"Signed for {whose[0]}: {clearing.digest}")


@click.command
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@with_terms
@with_engine
def record(files: tuple[Path, ...], terms: SettlementTerms, engine: Engine) -> None:
    """Enter a clearing into the books: its set-off happens, and what is left waits to be paid.

    FILES are copies of one clearing, each with some signatures. All in the terms must have signed, and
    it must be what the books give.
    """
    signed = merged(read_signed(file.read_bytes()) for file in files)
    clearing = clearing_of(signed)
    _refuse_objections(clearing, terms, LedgerReader(engine).books)
    _refuse(list(unwarranted(signed, terms.keys)))
    fresh = _enter(engine, clearing, signed)
    say(f"{'Entered' if fresh else 'Was entered before'}: {clearing.period.name} {clearing.digest}")


def objections(
    clearing: Clearing, terms: SettlementTerms, books_before: Callable[[int], Books]
) -> Iterator[str]:
    """Yield what speaks against a clearing but missing signatures, a sentence each."""
    yield from terms.departures(clearing)
    yield from departures(clearing, books_before(clearing.period.until_ms))


def _of_own_side(
    institution: str,
    clearing: Clearing,
    terms: SettlementTerms,
    *,
    files: OwnFiles,
    source: Source,
) -> list[str]:
    """Return in what an institution's side departs from its receipts; says what is no reason not to sign."""
    if institution not in terms.keys:
        raise Terminal(f"--for: {institution} is not in the terms", reason="NoTerms")
    seen = files.checked(institution, clearing, terms)
    for text in seen.notices:
        say(text)
    rows = source.rows(seen.own.until_ms)
    return [*seen.faults, *own_side.objections(seen.own, rows, seen.shown)]


def _refuse_objections(
    clearing: Clearing, terms: SettlementTerms, books_before: Callable[[int], Books]
) -> None:
    _refuse(list(objections(clearing, terms, books_before)))


def _refuse(found: list[str]) -> None:
    if found:
        raise Terminal("; ".join(found[:MOST_TOLD]), reason="NotAgreed")


def _enter(engine: Engine, clearing: Clearing, signed: SignedClearing) -> bool:
    now_ms = int(SystemClock().now() * 1000)
    if clearing.period.until_ms >= now_ms:
        raise Terminal(f"{clearing.period.name} is not over", reason="NotOver")
    return Settlements(engine).settle(clearing, signed.wire(), now_ms)
