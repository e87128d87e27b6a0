"""The record of processing tells what grants and receipts say, and marks all that they do not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.cli.receipts.ropa import ropa
from hansa.errors import Terminal
from hansa.ledger.receipts.endings import heard_from
from hansa.ledger.receipts.evidence import Dispute, Evidence, Taken
from hansa.ledger.receipts.grants import Claimed, Granted, OwnerSignature
from hansa.receipts.envelope import cosign, seal
from hansa.receipts.processing_record import TO_FILL, ProcessedRun, entries
from tests.new_books import new_books
from tests.unit.cli.receipts.kept_receipts import kept_record
from tests.unit.receipts.receipt_kit import DIGEST, HUB, NODE, UID, changed, history, opened

SIGNED = OwnerSignature(DIGEST, "screening", "EE-7/2026", "2027-01-01T00:00:00Z")
DISPUTE = Dispute("Differs", "gpus", "the member says 2, the hub's record 1")


class Kept:
    """A ledger's evidence of one run, and of a grant nobody has told of yet."""

    def __init__(
        self,
        folder: Path,
        status: dict | None = None,
        digest: str | None = "sha256:" + "e" * 64,
        **changes: object,
    ) -> None:
        self.url = f"sqlite:///{folder / 'books.db'}"
        engine = new_books(folder)
        evidence, found = Evidence(engine), history()
        found[2] = changed(found[2], result_digest=digest)
        granted = Granted("lab/train", "tartu-university", kept_record(), ("EE", "US"), (SIGNED,))
        waiting = replace(granted, signed=(), record=replace(kept_record(), job_uid=UID[:-1] + "9"))
        other = replace(granted, record=replace(kept_record(), epoch=2, data_sets=("cohort-2",)))
        claim = Claimed(granted.job, granted.record, is_of_any_class=False)
        news = (
            []
            if status is None
            else [*heard_from(claim, {"metadata": {}, "spec": {}, "status": status}, 0)]
        )
        evidence.remember([replace(granted, **changes), waiting, other], 0, news)
        sealed = [seal(receipt, NODE) for receipt in found]
        taken = [
            Taken(opened(receipt), one if n else cosign(one, HUB), (DISPUTE,) if n == 1 else ())
            for n, (receipt, one) in enumerate(zip(found, sealed, strict=True))
        ]
        evidence.add(taken, 0)
        engine.dispose()

    def told(self, data_set: str = "cohort") -> dict:
        arguments = ["--data-set", data_set, "--database", self.url, "-o", "json"]
        done = CliRunner().invoke(ropa, arguments, catch_exceptions=False)
        return json.loads(done.output)


def said(told: dict, what: str) -> str:
    (found,) = [row["said"] for row in told["entries"] if row["what"] == what]
    return found


def test_a_run_is_told_with_its_place_its_law_its_signature_and_what_left(tmp_path: Path) -> None:
    told = Kept(tmp_path).told()
    run = told["runs"][0]
    assert (run["job"], run["run"], run["node"]) == ("lab/train", f"{UID}.1", "tartu")
    assert (run["place"], run["law"], run["operator"]) == ("EE", "EE, US", "tartu-university")
    assert (run["from"], run["to"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:11:00Z")
    assert (run["purpose"], run["signedBy"]) == ("screening", f"{DIGEST}, permit EE-7/2026")
    assert run["left"] == "a result, sha256:" + "e" * 64
    assert (run["receipts"], run["countersigned"], run["disputed"]) == (3, 1, 1)


def test_what_a_person_must_say_is_marked_and_not_invented(tmp_path: Path) -> None:
    told = Kept(tmp_path).told()
    marked = [row["what"] for row in told["entries"] if row["said"] == TO_FILL]
    assert marked == [
        "controller, representative, data protection officer",
        "purposes of runs that name none",
        "categories of data subjects and of personal data",
        "categories of recipients beyond these",
        "safeguards of a transfer to a third country",
        "time limits for erasure",
        "technical and organisational measures",
    ]
    assert f"{len(marked)} entries are to be filled in" in told["record"][0]
    assert said(told, "purposes") == "screening"
    assert said(told, "of these outside the EEA") == "US"
    assert said(told, "who received results") == "hospital"


def test_a_run_without_receipts_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    waiting = Kept(tmp_path).told()["runs"][1]
    assert (waiting["from"], waiting["receipts"]) == ("not told", 0)
    assert (waiting["purpose"], waiting["signedBy"]) == (TO_FILL, "nobody")
    assert waiting["left"] == "nothing told so far"


def ended(**status: object) -> dict:
    said = [{"type": "Running", "status": "False", "reason": "Succeeded"}]
    return {"finishedAt": "2027-01-15T08:11:00Z", "conditions": said, **status}


RESULT, OF_RESULT = "0.97", "sha256:" + hashlib.sha256(b"0.97").hexdigest()
NOBODY = "nobody"
LEFT = {
    "told at its end": (ended(result=RESULT), OF_RESULT, f"a result, {OF_RESULT}", "hospital"),
    "nothing": (ended(), None, "nothing", NOBODY),
    "it waits": (
        *(ended(exports=[{"state": "Waiting"}]), None),
        *("nothing yet: a result waits for its release", NOBODY),
    ),
    "it was released": (
        *(ended(exports=[{"state": "Released"}], result=RESULT), None),
        *(f"a result, {OF_RESULT}, that was released", "hospital"),
    ),
    "its release was refused": (
        *(ended(exports=[{"state": "Refused"}]), None),
        *("nothing: its result was not released", NOBODY),
    ),
    "its receipt hides what was told": (
        *(ended(result=RESULT), None, f"a result, {OF_RESULT}", "hospital"),
    ),
    "nobody heard of its end": (None, None, "not told", "not told of 1 run"),
}


@pytest.mark.parametrize(("status", "digest", "left", "received"), LEFT.values(), ids=LEFT)
def test_what_left_is_what_the_hub_was_told_and_never_nothing_where_nobody_knows(
    tmp_path: Path, status, digest, left: str, received: str
) -> None:
    told = Kept(tmp_path, status, digest).told()
    assert told["runs"][0]["left"] == left
    assert said(told, "who received results") == received


LAWS = {"EE": "none", "NO": "none", "EE-37": "none", "CH": "CH", "GB": "GB"}


@pytest.mark.parametrize("law", LAWS)
def test_safeguards_are_asked_for_where_a_law_from_outside_the_eea_reaches(law: str) -> None:
    run = ProcessedRun(
        *("u.1", "lab/train", "tartu", "ut", "lab", "", "EE", (law,), DIGEST, (), (), "", ""),
        is_over=False,
        result="",
        receipts=0,
        countersigned=0,
        disputed=0,
    )
    told = {entry.asked: entry.said for entry in entries([run])}
    assert told["of these outside the EEA"] == LAWS[law]
    asked = "safeguards of a transfer to a third country" in told
    assert asked == (LAWS[law] != "none")


@pytest.mark.parametrize("data_set", ["none", "cohor", 'coh"ort', "%"])
def test_a_data_set_that_nobody_ran_on_is_an_error_with_a_way_out(tmp_path, data_set) -> None:
    kept = Kept(tmp_path)
    with pytest.raises(Terminal, match="hansa nodes --datasets"):
        kept.told(data_set)
