"""What is left to pay, for the bank: ISO 20022 ``pain.001.001.09``, structured addresses only.

The library draws its message numbers and reads the clock. Here the clearing numbers the messages, so
that the same clearing gives the same file, and a bank that gets it twice sees that it is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from sepaxml import SepaTransfer
from sepaxml.validation import ValidationError, try_valid_xml

from hansa.accounting.exports.tables import moment
from hansa.accounting.postings import owner_in_words
from hansa.accounting.settlement.clearing import Clearing
from hansa.errors import Terminal

SCHEMA = "pain.001.001.09"
_URN = f"urn:iso:std:iso:20022:tech:xsd:{SCHEMA}"
_IBAN = re.compile(r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", re.ASCII)
_REGISTRY = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24
FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24
RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
"""Countries with the characters of their IBANs, by SWIFT's registry (ISO 13616)."""
_LENGTHS = {one[:2]: int(one[2:]) for one in _REGISTRY.split()}
_CENTS = 10_000
"""Micros in a cent."""


@dataclass(frozen=True, slots=True)
class Party:
    """Whose account, and where: town and country in fields of their own, as banks ask since 2026."""

    name: str
    iban: str
    town: str
    country: str
    """ISO 3166-1 alpha-2."""
    street: str = ""
    building: str = ""
    postcode: str = ""
    bic: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """When the file was made, and when the bank shall pay."""

    made_ms: int
    execution: date


def bank_file(
    clearing: Clearing, debtor: str, parties: Mapping[str, Party], order: Order
) -> bytes | None:
    """Return a debtor's payments of a clearing; None: it has nothing to pay.

    Raises ``Terminal`` naming what a bank would refuse.
    """
    due = {pair[1]: micros for pair, micros in clearing.paid.items() if pair[0] == debtor}
    if not due:
        return None
    if clearing.period.currency != "EUR":
        text = f"SEPA pays EUR, not {clearing.period.currency}; have it paid by other means"
        raise Terminal(text, reason="NotEuro")
    payer = _party(debtor, parties)
    transfer = SepaTransfer(_account(payer) | {"currency": "EUR", "batch": True}, schema=SCHEMA)
    for number, (creditor, micros) in enumerate(sorted(due.items()), 1):
        payment = {
            "amount": micros // _CENTS,
            "execution_date": order.execution,
            "description": f"Hansa {clearing.period.name} {clearing.digest[7:39]}",
            "endtoend_id": f"{clearing.digest[7:33]}-{number:04d}",
        }
        transfer.add_payment(_account(_party(creditor, parties)) | payment)
    return _numbered(transfer.export(validate=False), clearing, order)


def _party(name: str, parties: Mapping[str, Party]) -> Party:
    party = parties.get(name)
    if party is None:
        raise Terminal(f"no bank account is known of {owner_in_words(name)}", reason="NoAccount")
    for field in ("name", "town", "country"):
        if not getattr(party, field).strip():
            text = f"{owner_in_words(name)}: {field} is missing; banks refuse addresses without it"
            raise Terminal(text, reason="BadAddress")
    for field, text in asdict(party).items():
        if not text.isprintable():
            said = f"{owner_in_words(name)}: {field} has a character that cannot be printed: {text!r:.80}"
            raise Terminal(said, reason="BadAddress")
    fault = _no_iban(party.iban)
    if fault:
        text = f"{owner_in_words(name)}: {party.iban!r} is no IBAN; {fault}"
        raise Terminal(text, reason="BadAccount")
    return party


def _no_iban(iban: str) -> str:
    """Return why a text is no IBAN; empty: it is one."""
    if not _IBAN.match(iban):
        return "it is two letters, two digits and up to 30 letters and digits, without blanks"
    length = _LENGTHS.get(iban[:2])
    if length is None:
        return f"no country's begin with {iban[:2]}"
    if len(iban) != length:
        return f"those of {iban[:2]} have {length} characters, not {len(iban)}"
    turned = iban[4:] + iban[:4]
    is_whole = int("".join(str(int(c, 36)) for c in turned)) % 97 == 1
    return "" if is_whole else "check its digits"


def _account(party: Party) -> dict[str, Any]:
    address = {
        "street_name": party.street,
        "building_number": party.building,
        "postcode": party.postcode,
        "town": party.town,
        "country": party.country,
    }
    found: dict[str, Any] = {"name": party.name, "IBAN": party.iban, "address": address}
    return found | ({"BIC": party.bic} if party.bic else {})


def _numbered(drawn: bytes, clearing: Clearing, order: Order) -> bytes:
    root = ET.fromstring(drawn)  # noqa: S314  # the library wrote it a moment ago
    stamp = moment(order.made_ms).removesuffix("Z")
    number = clearing.digest[7:35]
    texts = {"MsgId": number, "CreDtTm": stamp, "PmtInfId": f"{number}-p"}
    for name, text in texts.items():
        for element in root.iter(f"{{{_URN}}}{name}"):
            element.text = text
    ET.register_namespace("", _URN)
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    try:
        try_valid_xml(made, SCHEMA)
    except ValidationError as error:
        text = f"a bank would refuse the file: {error.__cause__ or error}"
        raise Terminal(text[:500], reason="BadBankFile") from error
    return made
