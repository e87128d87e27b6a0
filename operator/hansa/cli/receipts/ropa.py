"""``kubectl hansa ropa``: the record of processing of a data set, for its owner and the authority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from hansa.adapters.clock import SystemClock
from hansa.cli.database import books_at
from hansa.cli.display import Section, show, with_output
from hansa.errors import Terminal
from hansa.ledger.receipts.endings import ENDED, LEFT, REFUSED
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grants import Granted, OwnerSignature
from hansa.ledger.store.engine import HERE
from hansa.model.times import rfc3339
from hansa.receipts.envelope import peek
from hansa.receipts.processing_record import NOT_TOLD, TO_FILL, ProcessedRun, entries
from hansa.receipts.work_receipt import WorkReceipt

ASKED = ("ARTICLE", "WHAT", "SAID", "FROM")
RUNS = (
    *("JOB", "RUN", "FROM", "TO", "NODE", "OPERATOR", "PLACE", "LAW", "FOR", "PROJECT"),
    *("PURPOSE", "SIGNED BY", "LEFT", "IMAGE", "RECEIPTS", "COUNTERSIGNED", "DISPUTED"),
)


@click.command
@click.option("--data-set", required=True, help="Name of the data set.")
@click.option(
    "--database",
    default=HERE,
    envvar="HANSA_LEDGER_DATABASE__URL",
    help="URL of the ledger's database; default: HANSA_LEDGER_DATABASE__URL, then the ledger's own file.",
)
@with_output
def ropa(data_set: str, database: str, output: str) -> None:
    """Tell all processing of a data set: where, under whose law, on whose signature, what left.

    It is what art. 30 of the GDPR asks for, as far as grants and signed receipts tell it. What only a
    person knows is marked. Runs of other leagues, and those before the ledger kept grants, are not in it.
    """
    with books_at(database) as engine:
        runs = list(processed(Evidence(engine), data_set))
    if not runs:
        text = f"the ledger knows no run on data set {data_set}; check the name: hansa nodes --datasets"
        raise Terminal(text, reason="NoRuns")
    show(sections(data_set, runs, SystemClock().now()), output)


def sections(data_set: str, runs: Sequence[ProcessedRun], now_s: float) -> Iterator[Section]:
    """Yield the record, then the runs that it stands on."""
    rows = [(one.article, one.asked, one.said, one.source) for one in entries(runs)]
    since = min((run.start for run in runs if run.start), default="no receipt yet")
    left = sum(row[2] == TO_FILL for row in rows)
    said = (
        f"Record of processing of data set {data_set}, made {rfc3339(now_s)} from {len(runs)} runs"
        f" since {since}. {left} entries are to be filled in by a person."
    )
    yield Section("Record", lines=(said,))
    yield Section("Entries", ASKED, rows)
    yield Section("Runs", RUNS, [_cells(run) for run in runs])


def processed(evidence: Evidence, data_set: str) -> Iterator[ProcessedRun]:
    """Yield every run on a data set that the ledger saw granted."""
    grants = evidence.granted_on(data_set)
    heard = evidence.heard(granted.run for granted in grants)
    for granted in grants:
        found = [
            (receipt, len(envelope.signatures) > 1, bool(disputes))
            for _, envelope, disputes in evidence.of_job(granted.record.job_uid)
            if (receipt := peek(envelope)) is not None and receipt.run == granted.run
        ]
        yield _run(granted, found, heard.get(granted.run, {}))


def _run(
    granted: Granted, found: list[tuple[WorkReceipt, bool, bool]], heard: Mapping[str, Any]
) -> ProcessedRun:
    record, receipts = granted.record, [receipt for receipt, *_ in found]
    last = next((receipt for receipt in receipts if receipt.last), None)
    signed = (last.result_digest or "") if last is not None else ""
    result = heard.get(LEFT, {}).get("digest", signed)
    return ProcessedRun(
        run=granted.run,
        job=granted.job,
        node=record.node,
        provider=granted.provider,
        institution=record.institution,
        project=record.project,
        jurisdiction=receipts[-1].work.jurisdiction if receipts else record.jurisdiction,
        legal_control=granted.legal_control,
        image=record.image_digest,
        purposes=tuple(one.purpose for one in granted.signed if one.purpose),
        signers=tuple(map(_signer, granted.signed)),
        start=min((receipt.start for receipt in receipts), default=""),
        end=max((receipt.end for receipt in receipts), default=""),
        is_over=last is not None,
        result=result,
        left=_how(heard, result),
        receipts=len(found),
        countersigned=sum(is_countersigned for _, is_countersigned, _ in found),
        disputed=sum(is_disputed for *_, is_disputed in found),
    )


def _signer(one: OwnerSignature) -> str:
    permit = f", permit {one.permit}" if one.permit else ""
    return f"{one.key_id}{permit}"


def _cells(run: ProcessedRun) -> tuple[object, ...]:
    if not run.start:
        period = (NOT_TOLD, NOT_TOLD)
    else:
        period = (run.start, run.end if run.is_over else f"{run.end}, and goes on")
    return (
        *(run.job, run.run, *period, run.node, run.provider, run.jurisdiction),
        ", ".join(run.legal_control) or NOT_TOLD,
        run.institution,
        run.project or "none",
        ", ".join(run.purposes) or TO_FILL,
        "; ".join(run.signers) or "nobody",
        _left(run),
        *(run.image, run.receipts, run.countersigned, run.disputed),
    )


def _left(run: ProcessedRun) -> str:
    if run.result:
        return f"a result, {run.result}{run.left}"
    return run.left or (NOT_TOLD if run.is_over else "nothing told so far")


def _how(heard: Mapping[str, Any], result: str) -> str:
    """Return how a result left, or why none did, by what the hub was told; empty: nobody knows."""
    if result:
        return ", that was released" if heard.get(LEFT, {}).get("released") else ""
    if REFUSED in heard:
        return "nothing: its result was not released"
    if ENDED not in heard:
        return ""
    return "nothing yet: a result waits for its release" if heard[ENDED]["held"] else "nothing"
