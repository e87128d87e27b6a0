"""From the ledger's evidence to a bundle that a stranger checks offline, with the log's proofs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import event

from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.cli.receipts.receipts import receipts
from hansa.cli.receipts.verify import verify
from hansa.errors import Retryable, Terminal
from hansa.ledger.audits.book import AuditBook, Word
from hansa.ledger.receipts.evidence import Dispute, Evidence, Taken
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.store.engine import open_engine
from hansa.receipts.bundle import Bundle, log_entry, read_bundle
from hansa.receipts.envelope import cosign, seal
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.new_books import new_books
from tests.unit.cli.receipts.kept_receipts import Later, kept_record
from tests.unit.receipts.receipt_kit import (
    HUB,
    NODE,
    OTHER,
    UID,
    history,
    opened,
)

OWN = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
OTHERS = NoteSigner.of("example.org/receipts", KeyType.ED25519, OTHER)
KEYS = ("--key", NODE.public_key, "--key", HUB.public_key)
DISPUTE = Dispute("Differs", "gpus", "the member says 2, the hub's record 1")


pytestmark = pytest.mark.usefixtures("later")


class Kept:
    """What a ledger leaves in its folder: evidence of three receipts, of which the first are logged."""

    def __init__(
        self, folder: Path, *, logged: int = 3, disputes: tuple[Dispute, ...] = ()
    ) -> None:
        self.folder = folder
        self.database = f"sqlite:///{folder / 'books.db'}"
        engine = new_books(folder)
        evidence, found = Evidence(engine), history()
        evidence.remember([Granted("lab/train", "clinic", kept_record())], 0)
        sealed = [seal(receipt, NODE) for receipt in found]
        evidence.add(
            [
                Taken(opened(receipt), one if disputes else cosign(one, HUB), disputes)
                for receipt, one in zip(found, sealed, strict=True)
            ],
            0,
        )
        engine.dispose()
        index = SqliteLeafIndex(folder / "leaves.db")
        policy = Policy.of_logs([OWN.key])
        log = Appender(FileStore(folder / "log"), index, [OWN], policy)
        log.append([log_entry(opened(receipt).digest) for receipt in found[:logged]])
        log.checkpoint(Later())  # type: ignore[arg-type]
        index.close()

    def run(self, job: str, *options: str):
        return CliRunner().invoke(receipts, [job, "--database", self.database, *options])

    def bundle(self, job: str = "lab/train", *, log: bool = True) -> Path:
        file = self.folder / "bundle.json"
        where = ("--log", str(self.folder / "log")) if log else ()
        done = self.run(job, *where, "--bundle", str(file))
        assert done.exit_code == 0, done.exception
        return file


def checked(file: Path, *options: str):
    return CliRunner().invoke(verify, [str(file), *KEYS, *options])


@pytest.mark.parametrize("job", ["lab/train", UID])
def test_what_the_ledger_keeps_is_checked_offline(tmp_path: Path, job: str):
    done = checked(Kept(tmp_path).bundle(job), "--log-key", str(OWN.key))
    assert done.exit_code == 0, done.exception
    assert "3 of 3 receipts hold" in done.output
    assert "3 are countersigned" in done.output
    assert "3 are in the transparency log" in done.output


def test_a_policy_file_names_the_log_too(tmp_path: Path):
    policy = tmp_path / "policy"
    policy.write_text(f"log {OWN.key}\nquorum none\n")
    done = checked(Kept(tmp_path).bundle(), "--policy", str(policy))
    assert "3 are in the transparency log" in done.output


def spoilt(bundle: Bundle) -> Bundle:
    first, second, *rest = bundle.receipts
    swapped = first.model_copy(update={"proof": second.proof})
    return bundle.model_copy(update={"receipts": (swapped, second, *rest)})


def unproved(*places: int) -> Callable[[Bundle], Bundle]:
    def without(bundle: Bundle) -> Bundle:
        found = tuple(
            one.model_copy(update={"proof": None}) if place in places else one
            for place, one in enumerate(bundle.receipts, 1)
        )
        return bundle.model_copy(update={"receipts": found})

    return without


REFUSED = {
    "another receipt's proof": (spoilt, OWN, "receipt 1 of tartu: Its proof does not hold"),
    "no proof": (unproved(3), OWN, "receipt 3 of tartu: It has no proof"),
    "none behind it": (unproved(2, 3), OWN, "receipt 2 of tartu: It has no proof"),
    "no proof at all": (unproved(1, 2, 3), OWN, "receipt 1 of tartu: It has no proof"),
    "another log's key": (lambda bundle: bundle, OTHERS, "did not sign this checkpoint"),
}


@pytest.mark.parametrize(("change", "log", "said"), REFUSED.values(), ids=REFUSED)
def test_a_place_that_is_not_proved_fails(tmp_path: Path, change, log: NoteSigner, said: str):
    file = Kept(tmp_path).bundle()
    bundle = read_bundle(file.read_bytes())
    assert isinstance(bundle, Bundle)
    file.write_text(change(bundle).model_dump_json(by_alias=True, exclude_none=True))
    done = checked(file, "--log-key", str(log.key))
    assert isinstance(done.exception, Terminal)
    assert said in done.output


def test_one_proof_is_enough_for_all_before_it_in_its_chain(tmp_path: Path):
    """So a member needs no more than that of its newest receipt."""
    file = Kept(tmp_path).bundle()
    bundle = read_bundle(file.read_bytes())
    assert isinstance(bundle, Bundle)
    alone = unproved(1, 2)(bundle)
    file.write_text(alone.model_dump_json(by_alias=True, exclude_none=True))
    done = checked(file, "--log-key", str(OWN.key))
    assert (done.exit_code, "3 are in the transparency log" in done.output) == (0, True)
    gap = alone.model_copy(update={"receipts": (alone.receipts[0], alone.receipts[2])})
    file.write_text(gap.model_dump_json(by_alias=True, exclude_none=True))
    assert "receipt 1 of tartu: It has no proof" in checked(file, "--log-key", str(OWN.key)).output


def test_who_names_none_of_its_gpus_is_said(tmp_path: Path):
    assert "name none of their GPUs" in checked(Kept(tmp_path).bundle()).output


def test_without_a_log_there_are_no_proofs(tmp_path: Path):
    file = Kept(tmp_path).bundle(log=False)
    assert all("proof" not in one for one in json.loads(file.read_text())["receipts"])
    assert checked(file).exit_code == 0


def test_what_is_disputed_is_said(tmp_path: Path):
    done = checked(Kept(tmp_path, disputes=(DISPUTE,)).bundle())
    assert "0 are countersigned" in done.output
    assert "disputed gpus (Differs): the member says 2, the hub's record 1" in done.output


def test_one_not_logged_yet_is_told_to_who_asks_for_proofs(tmp_path: Path):
    kept = Kept(tmp_path, logged=2)
    done = kept.run("lab/train", "--log", str(tmp_path / "log"))
    assert isinstance(done.exception, Retryable)
    assert "not logged yet" in str(done.exception)


WRONG = {
    "an unknown job": (("lab/other",), "no receipt of lab/other"),
    "a job that is a pattern": (("lab/%",), "no receipt of lab/%"),
    "no such file": (("lab/train", "--database", "sqlite:////nowhere/books.db"), "no books at"),
    "an index without its log": (("lab/train", "--index", "/nowhere/leaves.db"), "--log"),
    "a member's and the ledger's at once": (
        (UID, "--at-member", "hansa-system", "--log", "/nowhere/log"),
        "--at-member",
    ),
    "a bundle where none can be": (
        ("lab/train", "--bundle", "/nowhere/job.json"),
        "cannot be written",
    ),
    "no such log": (("lab/train", "--log", "/nowhere/log"), "/nowhere/log is not there"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_question_is_answered(tmp_path: Path, options: tuple[str, ...], said: str):
    done = Kept(tmp_path).run(*options)
    assert isinstance(done.exception, Terminal)
    assert said in str(done.exception)


def test_a_job_of_months_has_more_receipts_than_a_statement_has_room_for_names(tmp_path: Path):
    kept = Kept(tmp_path)
    engine = open_engine(kept.database)
    event.listen(
        engine,
        "connect",
        lambda connection, _: connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2),
    )
    assert len(list(Evidence(engine).of_job(UID))) == 3
    engine.dispose()


def test_more_receipts_than_a_bundle_holds_are_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hansa.cli.receipts.kept.MOST_RECEIPTS", 2)
    done = Kept(tmp_path).run("lab/train")
    assert isinstance(done.exception, Terminal)
    assert "more than 2 receipts" in str(done.exception)


def test_a_log_without_its_database_is_no_question(tmp_path: Path):
    done = CliRunner().invoke(receipts, ["train", "--log", str(tmp_path)])
    assert "name its --database too" in str(done.exception)


def test_on_which_runs_not_to_rely_is_said(tmp_path: Path):
    kept = Kept(tmp_path)
    assert "Doubtful" not in kept.run("lab/train").output
    engine = open_engine(kept.database)
    AuditBook(engine).add([Word(f"run/{UID}.{n}", "Doubtful", {"why": "w"}) for n in (2, 1)], 1)
    end = f"audit/{opened(history()[-1]).digest}"
    for job in ("lab/train", UID):
        lines = kept.run(job).output.splitlines()
        assert [line.partition(",")[0] for line in lines[3:]] == [
            "run 1: Doubtful",
            "run 2: Doubtful",
        ]
    AuditBook(engine).add([Word(end, "Verdict", {"verdict": "Passed"})], 1)
    engine.dispose()
    assert [line.partition(",")[0] for line in kept.run(UID).output.splitlines()[3:]] == [
        "run 2: Doubtful"
    ]
