"""``hansa verify``: checks a bundle of receipts offline, without the league."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import click

from hansa.adapters.clock import SystemClock
from hansa.cli.display import FORMATS, say, with_output
from hansa.cli.proofs import proof_check
from hansa.cli.receipts.verdicts import told
from hansa.errors import Terminal
from hansa.grants.envelope import key_id
from hansa.receipts.bundle import Audit, Bundle, audit, read_bundle
from hansa.receipts.chain import Moment

SKEW_S = 300.0
"""A bundle comes from elsewhere: its clock may be minutes off this one."""
MOST_BYTES = 256 << 20
KEY_BYTES = 32


@click.command
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="Public key to trust, base64: the node's and the hub's, as you were told them. Repeat it."
    " Without any, the bundle's own are taken, and it is said.",
)
@click.option(
    "--log-key",
    metavar="NAME+ID+KEY",
    help="Key of the transparency log, as you were told it: each receipt has to have a proof from it.",
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="C2SP tlog-policy file instead: which logs are believed, and which witnesses cosigned.",
)
@with_output
def verify(
    bundle: Path, keys: tuple[str, ...], log_key: str | None, policy: Path | None, output: str
) -> None:
    """Check the receipts in BUNDLE: signatures, chain, that they tile their runs, countersignatures, verdicts.

    With a log's key or a policy their places in the transparency log too. Needs no cluster. Exits with 1 where anything in it does not hold.
    """
    if bundle.stat().st_size > MOST_BYTES:
        raise Terminal(f"{bundle} is larger than {MOST_BYTES >> 20} MiB: split it by run")
    found = read_bundle(bundle.read_bytes())
    if isinstance(found, str):
        raise Terminal(f"{bundle} is no bundle of receipts: {found}")
    if not found.receipts:
        raise Terminal(f"{bundle} holds no receipts: it shows nothing")
    trusted = dict(map(_key, keys)) or dict(found.keys)
    check = proof_check(log_key, policy)
    moment = Moment(SystemClock().now(), SKEW_S)
    report = audit(found, trusted, moment, check_proof=check)
    verdicts = list(told(found, trusted))
    said = [
        *lines(found, report, is_own_keys=not keys),
        *(verdict.said for verdict in verdicts),
    ]
    wrong = len(report.faults) + sum(not verdict.holds for verdict in verdicts)
    if output in FORMATS:
        click.echo(FORMATS[output](_document(found, report, said, holds=not wrong)))
    else:
        for line in said:
            say(line)
    if wrong:
        raise Terminal(f"{wrong} things in {bundle} do not hold")


def _document(bundle: Bundle, report: Audit, said: list[str], *, holds: bool) -> dict[str, object]:
    return {
        "holds": holds,
        "receipts": {
            "shown": len(bundle.receipts),
            "hold": len(report.receipts),
            "countersigned": report.countersigned,
            "proved": report.proved,
        },
        "faults": [{"about": fault.about, "why": fault.why} for fault in report.faults],
        "said": said,
    }


def lines(bundle: Bundle, report: Audit, *, is_own_keys: bool) -> Iterator[str]:
    """Yield what was found, in words."""
    for fault in report.faults:
        yield f"{fault.about}: {fault.why}"
    held, runs = len(report.receipts), {receipt.run for receipt in report.receipts}
    yield (
        f"{held} of {len(bundle.receipts)} receipts hold, of {len(runs)} runs:"
        f" {report.gpu_seconds} GPU-seconds, {report.cpu_milliseconds // 1000} CPU-seconds"
    )
    yield f"{report.countersigned} are countersigned by the hub that granted the work"
    proofs = sum(one.proof is not None for one in bundle.receipts)
    if report.proved:
        yield f"{report.proved} are in the transparency log"
    elif proofs:
        yield f"{proofs} proofs of the transparency log were not checked: --log-key or --policy"
    for run in report.open_runs:
        yield f"run {run} has no last receipt here: it goes on, or its end is kept back"
    bare = sum(1 for one in report.receipts if one.usage.gpu_seconds and not one.held)
    if bare:
        yield f"{bare} name none of their GPUs: which cards they were, no exporter told"
    disputed = [one for one in bundle.receipts if one.differences]
    for difference in (difference for one in disputed for difference in one.differences):
        yield f"disputed {difference.field} ({difference.fault}): {difference.message}"
    if is_own_keys and not bundle.keys:
        yield "it brings no keys: give the node's and the hub's, as you were told them, with --key"
    elif is_own_keys:
        yield "checked by the bundle's own keys: compare them with those you were told (--key)"
        yield from (f"  {name} {key}" for name, key in sorted(bundle.keys.items()))


def _key(text: str) -> tuple[str, str]:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Terminal(f"--key {text}: no base64: {error}") from error
    if len(raw) != KEY_BYTES:
        raise Terminal(f"--key {text}: an Ed25519 public key has 32 bytes, this has {len(raw)}")
    return key_id(raw), text
