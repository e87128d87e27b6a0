"""The log that a clearing names is the one that was witnessed: who signs has a proof, or a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.accounting.settlement.signed import clearing_of, read_signed, unsigned
from hansa.receipts.bundle import read_bundle
from tests.unit.cli.books.office import Office

LATER_MS = 1_800_000_000_000


@pytest.fixture
def named(office: Office) -> Office:
    """A clearing that names the log of its moment, which has grown since."""
    assert office.propose().exit_code == 0
    office.trade(LATER_MS, 40)
    return office


def rewrite(office: Office, **changes: object) -> None:
    path = office.folder / "c.json"
    found = clearing_of(read_signed(path.read_bytes()))
    path.write_bytes(unsigned(replace(found, period=replace(found.period, **changes))).wire())


def test_the_log_of_the_clearing_goes_on_in_the_witnessed_one(named: Office) -> None:
    named.sign("clinic", "ut", "lab")
    assert named.run("check", named.file("c.json")).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"log_root": f"sha256:{'0' * 64}"}, "does not lead from the old root"),
        ({"log_root": "what?"}, "its root is no digest"),
        ({"log_size": 3}, "does not lead from the old root"),
        ({"log_root": "sha256:00"}, "does not lead from the old root"),
        ({"log_size": 0, "log_root": ""}, "names no log, though receipts are settled"),
        ({"log_size": 1}, "behind the 1 receipts of the log that the clearing names"),
    ],
    ids=("another root", "no root", "another size", "a short root", "no log", "a log before"),
)
def test_another_log_is_named_and_nothing_signed(
    named: Office, changes: dict[str, object], says: str
) -> None:
    rewrite(named, **changes)
    named.hand_out("clinic")
    told = named.try_sign("clinic")
    assert told.exit_code == 1
    assert says in str(told.exception)


def test_a_log_that_nobody_proves_is_named(named: Office) -> None:
    path = named.hand_out("clinic")
    bundle = read_bundle((named.folder / path).read_bytes())
    assert not isinstance(bundle, str)
    bare = bundle.model_copy(update={"log_state": None})
    (named.folder / path).write_bytes(
        bare.model_dump_json(by_alias=True, exclude_none=True).encode()
    )
    told = named.try_sign("clinic")
    assert told.exit_code == 1
    assert "has no proof that the witnessed log begins with it" in str(told.exception)


def test_a_log_that_its_witnesses_have_not_seen_so_far_is_handed_to_nobody(named: Office) -> None:
    rewrite(named, log_size=10_000)
    output = named.file("r.json")
    wanted = ("--for", "clinic", "--log", named.file("log"), "--output", output)
    told = named.run("receipts", named.file("c.json"), *wanted)
    assert told.exit_code == 1
    assert "are witnessed, the clearing names 10000" in str(told.exception)
