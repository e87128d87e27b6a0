"""``settle export``, ``check``, ``sign`` and ``record``: a clearing is believed when it was worked out anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from hansa.accounting.books import Books, books_of
from hansa.accounting.exports.posting_lines import posting_lines, read_posting_lines
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
from hansa.cli.books.database import with_books, with_database, with_engine
from hansa.cli.books.settlement.propose import show_clearing
from hansa.cli.books.settlement.terms import SettlementTerms, with_terms
from hansa.cli.database import books_at
from hansa.cli.display import say
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
MOST_TOLD = 20


def with_source(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --postings beside --database, and pass on ``books_at``: the books before a moment in ms."""

    @with_database
    @click.option(
        "--postings",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Work it out from an export (`settle export`) instead of the database.",
    )
    @wraps(command)
    def inner(*args: Any, database: str, postings: Path | None, **kwargs: Any) -> Any:
        def books_before(until_ms: int) -> Books:
            if postings is None:
                with books_at(database) as engine:
                    return LedgerReader(engine).books(until_ms)
            with postings.open("rb") as lines:
                rows = (row for row in read_posting_lines(lines) if row.recorded_ms < until_ms)
                return books_of(rows)

        return command(*args, books_at=books_before, **kwargs)

    return inner


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
@with_source
def check(file: Path, terms: SettlementTerms, books_at: Callable[[int], Books]) -> None:
    """Work the clearing in FILE out anew, and say who has signed it.

    Exits with 1 where it departs from the books or the terms, or not all have signed.
    """
    signed = read_signed(file.read_bytes())
    clearing = clearing_of(signed)
    show_clearing(clearing)
    found = [*objections(clearing, terms, books_at), *unwarranted(signed, terms.keys)]
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
@with_source
def sign(file: Path, terms: SettlementTerms, key: Path, books_at: Callable[[int], Books]) -> None:
    """Work the clearing in FILE out anew and, where it is right, sign it for your institution."""
    signer = Ed25519Signer.from_file(key)
    signed = read_signed(file.read_bytes())
    clearing = clearing_of(signed)
    whose = [name for name, key_id in terms.signers.items() if key_id == signer.key_id]
    if not whose:
        raise Terminal(f"{key} is the key of no institution in the terms")
    show_clearing(clearing)
    _refuse_objections(clearing, terms, books_at)
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
    clearing: Clearing, terms: SettlementTerms, books_at: Callable[[int], Books]
) -> Iterator[str]:
    """Yield what speaks against a clearing but missing signatures, a sentence each."""
    yield from terms.departures(clearing)
    yield from departures(clearing, books_at(clearing.period.until_ms))


def _refuse_objections(
    clearing: Clearing, terms: SettlementTerms, books_at: Callable[[int], Books]
) -> None:
    _refuse(list(objections(clearing, terms, books_at)))


def _refuse(found: list[str]) -> None:
    if found:
        raise Terminal("; ".join(found[:MOST_TOLD]), reason="NotAgreed")


def _enter(engine: Engine, clearing: Clearing, signed: SignedClearing) -> bool:
    now_ms = int(SystemClock().now() * 1000)
    if clearing.period.until_ms >= now_ms:
        raise Terminal(f"{clearing.period.name} is not over", reason="NotOver")
    return Settlements(engine).settle(clearing, signed.wire(), now_ms)
