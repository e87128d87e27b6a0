"""``settle pledge`` and ``return-pledge``: what an institution has at stake beside its pay, until it is found to cheat."""

from __future__ import annotations

import hashlib
from functools import partial

import click
import rfc8785
from sqlalchemy import Connection, Engine

from hansa.accounting import amounts
from hansa.accounting.postings import KITTY, Claim, Event
from hansa.adapters.clock import SystemClock
from hansa.api.meta import LONGEST_NAME, is_name
from hansa.cli.books.database import check_known, with_engine
from hansa.cli.books.settlement.payment import CURRENCY
from hansa.cli.display import say
from hansa.errors import Terminal
from hansa.ledger.audits.book import CLOSED, DONE, DRAWN, DUE, number, open_words
from hansa.ledger.store.entries import DECIDING, lock
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter

INSTITUTION = click.argument("institution")
REFERENCE = click.option(
    "--reference", required=True, help="What the agreement or guarantee is called."
)


@click.command
@INSTITUTION
@click.option("--amount", required=True, help="In the currency, for example 5000.")
@CURRENCY
@REFERENCE
@click.option(
    "--new", "is_new", is_flag=True, help="The books do not know it yet: it has earned nothing."
)
@with_engine
def pledge(  # one parameter an option
    institution: str, *, amount: str, currency: str, reference: str, is_new: bool, engine: Engine
) -> None:
    """Enter that INSTITUTION pledges an amount. Once is enough: the same again is the same pledge.

    No money moves. Its runs are audited less often for it, and all of it goes to the league's kitty when one of its
    nodes is found to have cheated: enter what the league could collect, in the league's currency; no other counts.
    """
    _check_name(LedgerReader(engine), institution, is_new=is_new)
    try:
        micros = _micros(amount)
    except ValueError as error:
        raise Terminal(f"--amount: {error}", reason="NoAmount") from None
    claim = Claim(_subject(institution, reference), institution, KITTY, micros, currency)
    fresh = LedgerWriter(engine).begin(Event.PLEDGE, [claim], _now_ms(), note=reference)
    said = "Entered" if fresh else "Was entered before, and is not changed"
    say(f"{said}: the pledge {reference} of {institution}")


@click.command("return-pledge")
@INSTITUTION
@REFERENCE
@with_engine
def return_pledge(institution: str, reference: str, engine: Engine) -> None:
    """Enter that a pledge of INSTITUTION has ended: it stands for nothing from now on.

    Not while one of its runs is being audited, or a draw is about to say which are: that goes by what stood then.
    """
    subject, writer = _subject(institution, reference), LedgerWriter(engine)
    check = partial(_check_unaudited, institution)
    if not writer.happen(Event.RETURN_PLEDGE, [subject], _now_ms(), note=reference, check=check):
        text = f"{institution} has no pledge {reference} that stands: it was returned, seized, or never entered"
        raise Terminal(text, reason="NoSuchPledge")
    say(f"Entered: the pledge {reference} of {institution} has ended")


def _check_name(books: LedgerReader, institution: str, *, is_new: bool) -> None:
    if is_new:
        if not is_name(institution):
            text = (
                f"{institution!r} is no name of an institution: write it as its nodes do, in small letters,"
                f" digits and hyphens, {LONGEST_NAME} at most"
            )
            raise Terminal(text, reason="NoName")
        return
    try:
        check_known(books, institution)
    except Terminal as error:
        raise Terminal(f"{error}; --new enters a new member", reason=error.reason) from None


def _check_unaudited(institution: str, books: Connection) -> None:
    """Raise ``Terminal`` where an audit of an institution's run may still seize what it has pledged.

    An epoch that is closed and not drawn may be drawn right now, by what it has read already.
    """
    lock(books, DECIDING)
    for _, word in open_words(books, CLOSED, DRAWN):
        text = f"audit epoch {number(word.subject)} is being drawn, by what is pledged now: try again in some minutes"
        raise Terminal(text, reason="AuditDue")
    for _, word in open_words(books, DUE, DONE):
        if word.body["institution"] == institution:
            text = (
                f"run {word.body['run']} of {institution} is being audited, and what is pledged may be seized:"
                " return it when that audit has a verdict"
            )
            raise Terminal(text, reason="AuditDue")


def _subject(institution: str, reference: str) -> str:
    said = rfc8785.dumps({"pledge": institution, "reference": reference})
    return f"sha256:{hashlib.sha256(said).hexdigest()}"


def _micros(amount: str) -> int:
    micros = amounts.entered(amount)
    if micros <= 0:
        raise ValueError(f"{amount} pledges nothing; give more than 0")
    return micros


def _now_ms() -> int:
    return int(SystemClock().now() * 1000)
