"""``hansa verify`` says in words whether a bundle holds, and exits accordingly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.cli.receipts.verify import verify
from hansa.errors import Terminal
from hansa.receipts.bundle import Bundle
from tests.unit.receipts.receipt_kit import HUB, NODE, OTHER, bundle, history

FIRST, SECOND, LAST = history()
BOTH = ["--key", NODE.public_key, "--key", HUB.public_key]


pytestmark = pytest.mark.usefixtures("later")


def run(folder: Path, made: Bundle | bytes, *options: str):
    file = folder / "bundle.json"
    text = made if isinstance(made, bytes) else made.model_dump_json(by_alias=True).encode()
    file.write_bytes(text)
    return CliRunner().invoke(verify, [str(file), *options])


def test_a_bundle_that_holds(tmp_path: Path):
    done = run(tmp_path, bundle(FIRST, SECOND, LAST), *BOTH)
    assert done.exit_code == 0
    assert "3 of 3 receipts hold, of 1 runs: 1300 GPU-seconds, 1950 CPU-seconds" in done.output
    assert "3 are countersigned" in done.output
    assert "own keys" not in done.output


def test_without_keys_it_says_whose_were_taken(tmp_path: Path):
    done = run(tmp_path, bundle(FIRST))
    assert done.exit_code == 0
    assert "checked by the bundle's own keys" in done.output
    assert NODE.public_key in done.output
    assert "no last receipt here" in done.output


REFUSED = {
    "a_part_left_out": (bundle(FIRST, LAST), BOTH, "do not hold"),
    "another_key": (bundle(FIRST), ["--key", OTHER.public_key], "do not hold"),
    "no_key": (bundle(FIRST), ["--key", "AAAA"], "has 32 bytes"),
    "no_base64": (bundle(FIRST), ["--key", "é"], "no base64"),
    "nothing_in_it": (bundle(), BOTH, "holds no receipts"),
    "no_bundle": (b"{}", BOTH, "no bundle"),
    "no_json": (b"SQLite", BOTH, "no bundle of receipts: Invalid JSON"),
}


@pytest.mark.parametrize(("made", "options", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_hold_fails(tmp_path: Path, made, options: list[str], said: str):
    done = run(tmp_path, made, *options)
    assert isinstance(done.exception, Terminal)
    assert said in str(done.exception)


def test_proofs_that_were_not_checked_and_differences_are_said(tmp_path: Path):
    disputed = ({"fault": "Differs", "field": "gpus", "message": "2, not 1"},)
    made = bundle(FIRST).model_dump(by_alias=True)
    made["receipts"] = [made["receipts"][0] | {"proof": "tlog", "differences": disputed}]
    done = run(tmp_path, Bundle.model_validate(made), *BOTH)
    assert "1 proofs of the transparency log were not checked" in done.output
    assert "disputed gpus (Differs): 2, not 1" in done.output


def test_a_bundle_without_keys_says_who_has_to_bring_them(tmp_path: Path):
    done = run(tmp_path, bundle(FIRST).model_copy(update={"keys": {}}))
    assert done.exit_code == 1
    assert (
        "it brings no keys: give the node's and the hub's, as you were told them, with --key"
        in (done.output)
    )


@pytest.mark.parametrize(("made", "holds"), [((FIRST, SECOND, LAST), True), ((FIRST, LAST), False)])
def test_programs_are_told_the_same(tmp_path: Path, made, *, holds: bool):
    done = run(tmp_path, bundle(*made), *BOTH, "-o", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["holds"]) == (0 if holds else 1, holds)
    assert told["receipts"] == {
        "shown": len(made),
        "hold": 3 if holds else 1,
        "countersigned": len(made),
        "proved": 0,
    }
    assert bool(told["faults"]) is not holds
    assert any("receipts hold" in line for line in told["said"])
