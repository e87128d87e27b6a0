"""Two ledgers with one signing key: over one database one is refused, over two a witness convicts the log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hansa.errors import Terminal
from hansa.ledger.receipts.evidence import Evidence, Taken
from hansa.ledger.store.engine import migrate, open_engine
from hansa.receipts.envelope import cosign, seal
from hansa.translog.judgement import signed_checkpoint
from hansa.translog.note import Note
from hansa.translog.witness.beginning import enrolled, remembered
from hansa.translog.witness.decision import Charge, Cosign, Refuse, decide
from tests.unit.ledger.receipts.logbook.two_ledgers import (
    ledger,
    one_of_many_writes_the_log,
    with_receipts,
)
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, history, opened
from tests.unit.translog.small_log import ed25519

WITNESS = ed25519("tartu")


def test_of_ledgers_over_one_file_one_writes_the_log(tmp_path: Path):
    one_of_many_writes_the_log(f"sqlite:///{tmp_path}/books.db", tmp_path)


def test_a_ledger_that_has_lost_its_files_begins_no_second_log(tmp_path: Path):
    url = with_receipts(f"sqlite:///{tmp_path}/books.db")
    ledger(url, tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    with pytest.raises(Terminal, match="put them back"):
        ledger(url, tmp_path / "first")
    assert not (tmp_path / "first/log/checkpoint").exists()


@pytest.mark.parametrize("spoilt", ["", "\n"], ids=["emptied", "blank"])
def test_a_log_that_has_lost_its_identity_is_another_one(tmp_path: Path, spoilt: str):
    url = with_receipts(f"sqlite:///{tmp_path}/books.db")
    ledger(url, tmp_path / "first")
    # The first holds its own.
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    (tmp_path / "copy/log/identity").write_text(spoilt)
    with pytest.raises(Terminal, match="is in other files"):
        ledger(url, tmp_path / "copy")


@pytest.mark.parametrize(("receipts", "fault"), {2: "SplitView", 3: "BadProof"}.items())
def test_over_two_databases_a_witness_convicts_the_log(tmp_path: Path, receipts: int, fault: str):
    """Nobody who starts a second one is asked: the key is what they share. So others have to see it."""
    first = ledger(with_receipts(f"sqlite:///{tmp_path}/a.db", 2), tmp_path / "a")
    own = first._appender._signers[0].key
    charge = Charge((own,), (WITNESS.key,))
    memory = enrolled(own.name, [WITNESS], int(NOW_S), [])
    assert decide(first._appender.request(0), memory, charge, int(NOW_S)) == Cosign(
        first._appender.head
    )
    memory = remembered(first._appender.head, [WITNESS], int(NOW_S))

    url = f"sqlite:///{tmp_path}/b.db"
    engine = open_engine(url)
    migrate(engine)
    # In another order: what comes first there was seen later here.
    for at_ms, one in enumerate(reversed(history()[:receipts])):
        Evidence(engine).add([Taken(opened(one), cosign(seal(one, NODE), HUB))], at_ms)
    engine.dispose()
    second = ledger(url, tmp_path / "b")
    said = decide(second._appender.request(2), memory, charge, int(NOW_S))
    assert isinstance(said, Refuse)
    assert said.fault == fault
    if fault == "SplitView":
        heads = [signed_checkpoint(Note.parse(note.encode()), (own,)) for note in said.evidence]
        assert len({head.root for head in heads}) == len(heads) == 2
        assert {head.size for head in heads} == {2}
