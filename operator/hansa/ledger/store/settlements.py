"""Settlements in the books: a period's clearing as all have signed it, and its payments as they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Engine, exists, literal, select

from hansa.accounting.books import Books
from hansa.accounting.postings import KITTY, Claim, Event, owner_in_words
from hansa.accounting.settlement.clearing import Clearing
from hansa.errors import Terminal
from hansa.ledger.store import schema
from hansa.ledger.store.engine import writing
from hansa.ledger.store.entries import lock, on, write_entries


class Settlements:
    """Writes clearings and payments; each is known by its period and its pair, and happens once."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first call."""
        self._engine = engine

    def settle(self, clearing: Clearing, signed: bytes, recorded_ms: int) -> bool:
        """Set a period's debts off, once; False where it is done. Payments are entered when made.

        ``signed``: the file with all signatures, kept as it is. Raises ``Terminal`` where the period was
        cleared otherwise, or another one since: what that one set off would be set off again.
        """
        period, table = clearing.period, schema.CLEARING
        later = exists().where(
            table.c.currency == period.currency, table.c.recorded_ms >= period.until_ms
        )
        row = select(
            literal(period.name),
            literal(period.currency),
            literal(clearing.digest),
            literal(signed),
            literal(recorded_ms),
        ).where(~later)
        columns = ("period", "currency", "digest", "document", "recorded_ms")
        claims = [
            Claim(
                f"{clearing.digest}/{debtor}/{creditor}", debtor, creditor, micros, period.currency
            )
            for (debtor, creditor), micros in clearing.set_off.items()
        ]
        with writing(self._engine) as connection:
            lock(connection, f"clearing/{period.currency}")
            insert = on(connection)(table).from_select(columns, row).on_conflict_do_nothing()
            if connection.execute(insert.returning(table.c.digest)).all():
                write_entries(connection, Event.SET_OFF, claims, recorded_ms)
                return True
            known = connection.execute(
                select(table.c.digest).where(
                    table.c.period == period.name, table.c.currency == period.currency
                )
            ).scalar()
        if known is None:
            text = f"another period was settled since {period.name} was worked out; propose it anew"
            raise Terminal(text, reason="Outdated")
        if known != clearing.digest:
            raise Terminal(f"{period.name} was cleared otherwise, as {known}", reason="Cleared")
        return False

    def pay(
        self,
        clearing: Clearing,
        pair: tuple[str, str],
        until: Books,
        recorded_ms: int,
        *,
        note: str,
    ) -> bool:
        """Enter that what a clearing has a debtor pay a creditor was paid; False where it is entered.

        ``until``: the books that the clearing follows from. Raises ``Terminal`` where it has nothing to pay.
        """
        micros = clearing.paid.get(pair)
        if micros is None:
            text = (
                f"{pair[0]} has nothing to pay {owner_in_words(pair[1])} in the clearing of"
                f" {clearing.period.name}"
            )
            raise Terminal(text, reason="NothingToPay")
        events = payments(clearing, pair, until)
        with writing(self._engine) as connection:
            fresh = [
                subject
                for event, claims in events.items()
                for subject in write_entries(connection, event, claims, recorded_ms, note=note)
            ]
        return bool(fresh)


def payments(
    clearing: Clearing, pair: tuple[str, str], until: Books
) -> Mapping[Event, Sequence[Claim]]:
    """Return what a payment enters, the same each time. The kitty is owed for what was seized from each."""
    (debtor, creditor), currency = pair, clearing.period.currency
    name, micros = f"{clearing.digest}/paid/{debtor}/{creditor}", clearing.paid[pair]
    if creditor != KITTY:
        return {Event.PAY: [Claim(name, debtor, creditor, micros, currency)]}
    found: dict[Event, list[Claim]] = {Event.PAY_KITTY: [], Event.PAY_SEIZED_PLEDGE: []}
    for whose, share in _shares(until.kitty(debtor, currency), micros):
        event = Event.PAY_SEIZED_PLEDGE if whose == KITTY else Event.PAY_KITTY
        found[event].append(Claim(f"{name}/{whose}", debtor, whose, share, currency))
    return found


def _shares(seized: Mapping[str, int], micros: int) -> Iterator[tuple[str, int]]:
    for whose, owed in seized.items():
        share = min(owed, micros)
        micros -= share
        if share:
            yield whose, share
