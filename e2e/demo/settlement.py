"""After the jobs: what each of them used and costs, checked offline, and what is set off of all debts."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from e2e.demo.account import Account, account_of, billed_rows, is_complete, timed
from e2e.demo.books import Books
from e2e.testbed.host.clock import utc_now, wait_until
from e2e.testbed.host.progress import Progress
from hansa.accounting.postings import owner_in_words
from hansa.adapters.keys import Ed25519Signer

SETTLED_S = 600.0
"""From a job's end to its last receipt in the books, after its namespace is gone: a ceiling, as ``JOB_S``."""


def settle(
    books: Books, progress: Progress, jobs: Sequence[str], node_key: Callable[[str], str]
) -> tuple[Account, ...]:
    """Show receipts, bill and offline check of each finished job.

    Args:
        books: What the ledger keeps.
        progress: Tells it.
        jobs: ``namespace/name`` of all jobs that have ended.
        node_key: Node → its pinned key.

    Raises ``AssertionError`` for a job without receipts, or whose sums do not agree.
    """
    return tuple(_settled(books, progress, job, node_key) for job in jobs)


def _settled(books: Books, progress: Progress, job: str, node_key: Callable[[str], str]) -> Account:
    with progress.step(f"receipts and bill of {job}"):
        file, bill = _awaited(books, job)
        account = account_of(job, json.loads(file.read_text(encoding="utf-8")), bill)
        if account.faults:
            raise AssertionError(f"{job}: {'; '.join(account.faults)}")
        checked = books.verify(file, node_key(account.node))
    progress.note(in_words(account))
    progress.note(f"$ hansa bill {job}\n{bill.rstrip()}")
    progress.note(f"$ hansa verify {file.name}  # without a network\n{checked.rstrip()}")
    return account


def in_words(account: Account) -> str:
    """Return one job's account as sentences."""
    many = "1 receipt" if account.receipts == 1 else f"{account.receipts} receipts"
    return (
        f"{account.node} signed {many} for {account.job}: {account.seconds} s without a gap,"
        f" {account.gpu_seconds} GPU-seconds at {account.price} EUR an hour. The hub's record agrees,"
        f" so it countersigned; each is in the log. {account.payer} owes {account.amount} EUR,"
        " which is what the receipts come to when they are added up again."
    )


def _awaited(books: Books, job: str) -> tuple[Path, str]:
    """Return a job's bundle and bill once its last receipt is kept, logged and billed."""
    found: list[tuple[Path, str]] = []

    def is_there() -> bool:
        file = books.receipts(job)
        bundle = {"receipts": []} if file is None else json.loads(file.read_text(encoding="utf-8"))
        if file is None or not is_complete(bundle):
            return False
        bill = books.bill(job)
        found[:] = [(file, bill)]
        return billed_rows(bill) >= timed(bundle)

    what = f"the last receipt of {job} in the books"
    wait_until(is_there, what=what, timeout_s=SETTLED_S, poll_s=1)
    return found[0]


CREDIT_LIMIT = "0.01"
"""Of each institution, in euros: what the demo's jobs cost is of that size."""
LATE_S = 5.0
"""From the moment that is settled until ``hansa settle`` takes it for over."""


class Node(NamedTuple):
    """A node as the league's admin pinned it."""

    name: str
    institution: str
    key: str
    """Public half of its release key, base64."""


def set_off(
    books: Books,
    progress: Progress,
    institutions: Sequence[str],
    nodes: Sequence[Node],
    *,
    last_job: str,
) -> None:
    """Settle what is due: one proposes, each institution works it out anew from its receipts and signs, one enters it.

    ``last_job``: whose receipts came last. Raises ``AssertionError`` where nothing is set off, or an
    institution would have more or less than before.
    """
    folder = books.folder.parent
    with progress.step("the set-off: what goes back and forth nobody has to pay"):
        wait_until(
            lambda: "pending" not in books.bill(last_job),
            what=f"the bill of {last_job} to be due",
            timeout_s=SETTLED_S,
        )
        keys = {name: _treasurer(folder, name) for name in institutions}
        terms = folder / "terms.yaml"
        terms.write_text(yaml.safe_dump(_terms(books, keys, nodes)))
        until = utc_now() + timedelta(seconds=1)
        over_s = until.timestamp() + LATE_S
        wait_until(lambda: utc_now().timestamp() > over_s, what="the moment to be over")
        proposed, agreed = folder / "clearing.json", ("--terms", terms)
        moment = ("--until", until.strftime("%Y-%m-%dT%H:%M:%SZ"))
        log = ("--log", books.folder / "log")
        told = books.settle("propose", *moment, *agreed, *log, "--output", proposed)
        postings = folder / "postings.jsonl"
        books.settle("export", proposed, "--output", postings)
        copies = {name: folder / f"{name}.clearing.json" for name in institutions}

        def sign(name: str) -> None:
            own = folder / f"{name}.receipts.json"
            books.settle("receipts", proposed, *agreed, "--for", name, *log, "--output", own)
            copies[name].write_bytes(proposed.read_bytes())
            what = (copies[name], *agreed, "--key", folder / f"{name}.pem")
            books.settle("sign", *what, "--postings", postings, "--receipts", own, books=False)

        with ThreadPoolExecutor(len(copies)) as pool:
            list(pool.map(sign, copies))
        books.settle("record", *copies.values(), *agreed)
        document = json.loads(base64.b64decode(json.loads(proposed.read_bytes())["payload"]))
        _check(document)
    progress.note(f"$ hansa settle propose --until {moment[1]}\n{told.rstrip()}")
    progress.note(set_off_in_words(document))


def set_off_in_words(document: dict[str, Any]) -> str:
    """Return a clearing as sentences."""
    debts = ", ".join(
        f"{a} owed {owner_in_words(b)} {amount} EUR" for a, b, amount in document["obligations"]
    )
    parts = (_sum(document[part]) for part in ("setOff", "paid", "carried"))
    cleared, paid, carried = map(_euros, parts)
    return (
        f"{debts}. {cleared} EUR of it went back and forth and is set off: nobody pays it, and nobody"
        f" has more or less than before. {len(document['signers'])} institutions worked it out anew,"
        f" each for itself and from its own receipts, and signed the same bytes. {paid} EUR is left for the bank, {carried} EUR"
        " is within what they let each other owe and goes into the next month."
    )


def _treasurer(folder: Path, name: str) -> str:
    signer = Ed25519Signer.generate()
    (folder / f"{name}.pem").write_bytes(signer.private_pem())
    return signer.public_key


def _terms(books: Books, keys: Mapping[str, str], nodes: Sequence[Node]) -> dict[str, Any]:
    """Return what all agree on: who signs by which key, whose node is which, the hub's key and the log's."""
    members = [
        {
            "institution": name,
            "key": key,
            "creditLimit": CREDIT_LIMIT,
            "nodes": [
                {"name": one.name, "key": one.key} for one in nodes if one.institution == name
            ],
        }
        for name, key in keys.items()
    ]
    others = [one._asdict() for one in nodes if one.institution not in keys]
    policy = f"log {books.log_key}\nquorum none\n"
    return {"members": members, "otherNodes": others, "hub": books.hub_key, "logPolicy": policy}


def _check(document: dict[str, Any]) -> None:
    """Add the clearing up again, by no rule of the product."""
    before = _net(document["obligations"])
    after = _net([*document["paid"], *document["carried"]])
    names = before.keys() | after.keys()
    changed = [name for name in sorted(names) if before[name] != after[name]]
    if changed or not _sum(document["setOff"]):
        raise AssertionError(f"the set-off is none, or changes what {changed} have: {document}")


def _net(rows: Iterable[Sequence[str]]) -> defaultdict[str, Fraction]:
    net: defaultdict[str, Fraction] = defaultdict(Fraction)
    for debtor, creditor, amount in rows:
        net[debtor] -= Fraction(amount)
        net[creditor] += Fraction(amount)
    return net


def _sum(rows: Iterable[Sequence[str]]) -> Fraction:
    return sum((Fraction(amount) for *_, amount in rows), Fraction())


def _euros(amount: Fraction) -> str:
    return f"{float(amount):.6f}"
