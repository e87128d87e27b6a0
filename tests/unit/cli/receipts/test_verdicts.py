"""Verdicts travel with the receipts that they are about, and are checked offline like them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from click.testing import CliRunner
from securesystemslib import dsse

from hansa.cli.receipts.receipts import receipts
from hansa.cli.receipts.verify import verify
from hansa.ledger.audits.book import VERDICT, AuditBook, Word, audit
from hansa.ledger.receipts.evidence import Evidence, Taken
from hansa.ledger.receipts.grants import Granted
from hansa.receipts.envelope import PAYLOAD_TYPE, cosign, seal
from hansa.verification.auditors import Independence
from hansa.verification.svr import Descriptor, DigestSet, Verifier, statement
from hansa.verification.verdict import Verdict
from tests.new_books import new_books
from tests.unit.cli.receipts.kept_receipts import kept_record
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, OTHER, history, opened

FOUND = history()
LAST = opened(FOUND[-1]).digest
KEYS = ("--key", NODE.public_key, "--key", HUB.public_key)


pytestmark = pytest.mark.usefixtures("later")


def signed(verdict=Verdict.PASSED, signer=HUB, receipt: str = LAST, spoil: bytes = b"") -> Any:
    """Return a verdict on the run as the ledger keeps it."""
    about = Descriptor(name=FOUND[-1].run, digest=DigestSet(sha256=receipt.removeprefix("sha256:")))
    by = Verifier(id="https://hansa.dev/ledger")
    said = statement(about, verdict, by, NOW_S + 690, Independence.INDEPENDENT)
    text = rfc8785.dumps(said.wire())  # type: ignore[arg-type]  # JSON values
    made = signer.sign(dsse.Envelope(text, PAYLOAD_TYPE, {}).pae())
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(text + spoil).decode(),
        "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(made).decode()}],
    }


def checked(folder: Path, *statements: Any):
    """Have a ledger keep a run and verdicts on it; return what who checks its bundle sees."""
    url = f"sqlite:///{folder}/books.db"
    engine = new_books(folder)
    evidence = Evidence(engine)
    evidence.remember([Granted("lab/train", "clinic", kept_record())], 0)
    evidence.add([Taken(opened(one), cosign(seal(one, NODE), HUB)) for one in FOUND], 0)
    digests = [opened(one).digest for one in reversed(FOUND)]
    words = [
        Word(audit(digest), VERDICT, {"verdict": "Passed", "statement": said})
        for digest, said in zip(digests, statements, strict=False)
    ]
    AuditBook(engine).add(words, 0)
    engine.dispose()
    bundle = folder / "bundle.json"
    made = CliRunner().invoke(receipts, ["lab/train", "--database", url, "--bundle", str(bundle)])
    assert made.exit_code == 0, made.exception
    return CliRunner().invoke(verify, [str(bundle), *KEYS])


SAID = {
    Verdict.PASSED: "HANSA_AUDITED, HANSA_RESULT_REPRODUCED at",
    Verdict.FAILED: "HANSA_AUDITED, HANSA_RESULT_REFUTED at",
    Verdict.LOST: "HANSA_WORK_LOST at",
}


@pytest.mark.parametrize(("verdict", "says"), SAID.items(), ids=str)
def test_a_verdict_is_told_to_who_checks(tmp_path: Path, verdict, says: str) -> None:
    done = checked(tmp_path, signed(verdict))
    assert done.exit_code == 0, done.exception
    assert f"run {FOUND[-1].run}: {says}" in done.output


def test_a_run_that_nobody_audited_has_no_verdict(tmp_path: Path) -> None:
    done = checked(tmp_path)
    assert (done.exit_code, "HANSA" in done.output) == (0, False)


FALSE = {
    "a key that is not known": (signed(signer=OTHER), "did not sign it"),
    "the provider's own word": (signed(signer=NODE), "did not sign it"),
    "changed afterwards": (signed(spoil=b" "), "did not sign it"),
    "about another run": (signed(receipt="sha256:" + "b" * 64), "not in the bundle"),
}


@pytest.mark.parametrize(("forged", "says"), FALSE.values(), ids=FALSE)
def test_a_verdict_that_the_hub_did_not_sign_fails(tmp_path: Path, forged, says: str) -> None:
    done = checked(tmp_path, forged)
    assert (done.exit_code, says in done.output) == (1, True), done.output
