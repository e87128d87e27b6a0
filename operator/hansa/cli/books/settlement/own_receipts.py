"""The files by which an institution checks its side of a clearing: receipts, its own, and earlier clearings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hansa.accounting.settlement.clearing import Clearing, Period
from hansa.accounting.settlement.own_side import OwnSide, Shown
from hansa.accounting.settlement.signed import SignedClearing, clearing_of, read_signed
from hansa.adapters.clock import SystemClock
from hansa.cli.books.settlement.terms import SettlementTerms
from hansa.cli.proofs import checked_by
from hansa.errors import Terminal
from hansa.receipts.bundle import Bundle, audit, read_bundle
from hansa.receipts.chain import Moment
from hansa.receipts.envelope import digest, peek, signature_holds
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.witness.request import WitnessRequest

SKEW_S = 300.0
MOST_BYTES = 1 << 30
BEFORE = click.option(
    "--before",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An earlier clearing that your institution signed; what the last of them settled is not checked again."
    " Repeat it.",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files show."""

    own: OwnSide
    shown: tuple[Shown, ...]
    faults: tuple[str, ...]
    """What in them does not hold."""
    notices: tuple[str, ...]
    """What who signs should know, and what is no reason not to."""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """What was named on the command line."""

    receipts: Path
    mine: tuple[Path, ...]
    before: tuple[Path, ...]
    known: tuple[str, ...]

    def checked(self, institution: str, clearing: Clearing, terms: SettlementTerms) -> Seen:
        """Read and check them for who signs; raises ``Terminal`` for a file that is none."""
        whole, keys = _bundle(self.receipts), terms.receipt_keys
        bundle = _known(whole, terms)
        own = OwnSide(
            institution,
            clearing.period.currency,
            clearing.period.until_ms,
            frozenset(clearing.signers),
            terms.operators,
            settled_before(self.before, institution, clearing, terms),
            frozenset(self.known),
        )
        policy = Policy.parse(terms.log_policy.encode())
        check = checked_by(policy)
        report = audit(bundle, keys, Moment(SystemClock().now(), SKEW_S), check_proof=check)
        shown = tuple(_shown(bundle, terms))
        disputed = {_name(one) for one in shown if one.disputed}
        faults = [
            f"{fault.about}: {fault.why}" for fault in report.faults if fault.about not in disputed
        ]
        faults += _not_shown(self.mine, own, shown)
        faults += _of_log(whole, clearing.period, policy)
        notices = [*_notices(bundle, own, shown)]
        strange = len(whole.receipts) - len(bundle.receipts)
        if strange:
            notices.append(
                f"{strange} receipts of nodes that are not in the terms are passed over: what is owed for them is"
                " not cleared"
            )
        return Seen(own, shown, tuple(faults), tuple(notices))


def with_own_files(*, is_needed: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --receipts, --mine, --before and --agreed, and pass them on as ``files``; None: no receipts were named."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        return _with_own_files(command, is_needed)

    return decorate


def _with_own_files(command: Callable[..., Any], is_needed: bool) -> Callable[..., Any]:  # noqa: FBT001  # its only caller is above
    @click.option(
        "--receipts",
        required=is_needed,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Your institution's receipts with their proofs: `settle receipts` writes them at the ledger.",
    )
    @click.option(
        "--mine",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Receipts as your own cluster keeps them (`receipts UID --at-member … --bundle`): none of them may be"
        " missing or differ. Repeat it.",
    )
    @BEFORE
    @click.option(
        "--agreed",
        "known",
        multiple=True,
        metavar="DIGEST",
        help="An entry that follows from no receipt, and that you know of: a correction, what an audit took. Repeat it.",
    )
    @wraps(command)
    def inner(*args: Any, **kwargs: Any) -> Any:
        names = OwnFiles.__dataclass_fields__
        said = {name: kwargs.pop(name) for name in names}
        files = None if said["receipts"] is None else OwnFiles(**said)
        return command(*args, files=files, **kwargs)

    return inner


def settled_before(
    files: Iterable[Path], institution: str, clearing: Clearing, terms: SettlementTerms
) -> tuple[Clearing, ...]:
    """Return earlier clearings, the oldest first; raises ``Terminal`` for one that an institution did not sign."""
    found = []
    for file in files:
        signed = read_signed(file.read_bytes())
        one = clearing_of(signed)
        if not _has_signed(signed, one, institution, terms.keys[institution]):
            raise Terminal(f"{file}: {institution} has not signed it", reason="NotAgreed")
        if one.period.until_ms >= clearing.period.until_ms:
            raise Terminal(f"{file}: it is not of an earlier period", reason="NotAgreed")
        if one.period.currency == clearing.period.currency:
            found.append(one)
    return tuple(sorted(found, key=lambda one: one.period.until_ms))


def _has_signed(signed: SignedClearing, clearing: Clearing, institution: str, key: str) -> bool:
    key_id = clearing.signers.get(institution)
    made = (one for one in signed.signatures if one.keyid == key_id)
    return any(signature_holds(one, key, signed.pae) for one in made)


def _bundle(file: Path) -> Bundle:
    if file.stat().st_size > MOST_BYTES:
        raise Terminal(f"{file} is larger than {MOST_BYTES >> 20} MiB: settle more often")
    found = read_bundle(file.read_bytes())
    if isinstance(found, str):
        raise Terminal(f"{file} is no bundle of receipts: {found}")
    return found


def _known(bundle: Bundle, terms: SettlementTerms) -> Bundle:
    """Leave out what is of nodes that the terms do not name: of what is cleared it is missed then."""
    known, found = terms.operators, [(one, peek(one.envelope)) for one in bundle.receipts]
    kept = (one for one, said in found if said is None or said.work.node_key in known)
    return bundle.model_copy(update={"receipts": tuple(kept)})


def _shown(bundle: Bundle, terms: SettlementTerms) -> Iterator[Shown]:
    keys = terms.receipt_keys
    for one in bundle.receipts:
        receipt = peek(one.envelope)
        if receipt is None:
            continue
        signers = {signature.keyid for signature in one.envelope.signatures}
        by_hub = receipt.work.league in signers - {receipt.work.node_key}
        is_ours = by_hub and receipt.work.league in keys
        yield Shown(digest(one.envelope), receipt, is_ours, bool(one.differences))


def _not_shown(files: Iterable[Path], own: OwnSide, shown: Iterable[Shown]) -> Iterator[str]:
    """Yield what an institution's own cluster has and the bundle lacks, or has otherwise."""
    theirs = {(one.receipt.work.node_key, one.receipt.sequence): one.digest for one in shown}
    newest: dict[str, int] = {}
    oldest: dict[str, int] = {}
    for key, sequence in theirs:
        newest[key] = max(newest.get(key, 0), sequence)
        oldest[key] = min(oldest.get(key, sequence), sequence)
    for file in files:
        for bundled in _bundle(file).receipts:
            receipt, mine = peek(bundled.envelope), digest(bundled.envelope)
            if receipt is None or own.operators.get(receipt.work.node_key) != own.institution:
                continue
            key, sequence = receipt.work.node_key, receipt.sequence
            is_there = theirs.get((key, sequence))
            if is_there != mine and oldest.get(key, 1) <= sequence <= newest.get(key, 0):
                why = "is not shown" if is_there is None else f"is shown otherwise, as {is_there}"
                yield f"receipt {sequence} of {receipt.work.node}, {mine} in {file}, {why}"


def _of_log(bundle: Bundle, period: Period, policy: Policy) -> Iterator[str]:
    """Yield why the log that a clearing names is not known to be the one that was witnessed."""
    if not period.log_size:
        if bundle.receipts:
            yield "the clearing names no log, though receipts are settled: have it proposed anew, with --log"
        return
    yield from _behind(bundle, period.log_size)
    state = bundle.log_state
    named = f"the log of {period.log_size} receipts that the clearing names"
    if state is None:
        yield f"{named} has no proof that the witnessed log begins with it: have `settle receipts` write one"
        return
    try:
        root = bytes.fromhex(period.log_root.removeprefix("sha256:"))
        request = WitnessRequest.parse(state.encode())
        if request.old_size != period.log_size:
            yield f"{named} is not proved: the proof is of one of {request.old_size}"
            return
        request.verify(root, policy)
    except Terminal as error:
        yield f"{named} is not known to be the witnessed one: {error}"
    except ValueError:
        yield f"{named} is not proved: its root is no digest"


def _behind(bundle: Bundle, log_size: int) -> Iterator[str]:
    """Yield which receipts have a place behind the end of the log that a clearing names."""
    for one in bundle.receipts:
        try:
            place = -1 if one.proof is None else LogProof.parse(one.proof.encode()).index
        except Terminal:
            continue  # named by the audit
        if place >= log_size:
            about = f"{digest(one.envelope)} has place {place} in the log"
            names = f"behind the {log_size} receipts of the log that the clearing names"
            yield f"{about}, {names}: have it proposed anew once the log has it"


def _notices(bundle: Bundle, own: OwnSide, shown: Iterable[Shown]) -> Iterator[str]:
    against: Mapping[str, str] = {
        digest(one.envelope): f"{one.differences[0].field}: {one.differences[0].message}"
        for one in bundle.receipts
        if one.differences
    }
    for one in shown:
        if one.disputed:
            yield f"{_name(one)} is disputed and paid by nobody: {against[one.digest]}"
    for key, name in own.operators.items():
        if name == own.institution:
            chain = [one.receipt for one in shown if one.receipt.work.node_key == key]
            newest = max(chain, key=lambda receipt: receipt.sequence, default=None)
            last = "no receipt" if newest is None else f"receipt {newest.sequence}, to {newest.end}"
            yield f"Settled of your node with key {key[:19]}…: {last}; what follows goes into the next period"


def _name(one: Shown) -> str:
    return f"receipt {one.receipt.sequence} of {one.receipt.work.node}"
