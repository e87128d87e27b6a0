"""Every command of the auditor's page, run as it stands there over copies of a league's books."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages, system_program
from e2e.testbed.host.progress import Progress
from tests.conftest import skip_or_fail
from tests.unit.accounting.settlement.clearings import NAMES
from tests.unit.accounting.usages import BEGAN_MS
from tests.unit.cli.books.office import OPERATORS, OWN, Office
from tests.unit.receipts.receipt_kit import HUB

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "audit-the-books.md"
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
SAYS = {
    "fsck": "Successfully fsck'd log with size",
    "hansa verify": "1 are in the transparency log",
    "hansa bill": "Total 0.40 EUR",
    "hansa balance": "receivable",
    "hledger": "Assets:Receivable:Clinic",
    "settle check": "It is what the books give, and all have signed it.",
    "settle receipts": "3 receipts",
}
"""Part of a command → what it has to say."""
OFFLINE = ("unshare", "--net") if os.geteuid() == 0 else ()
WAIT_S = 120


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """A folder with the programs that the page names, kubectl's plug-in as ``kubectl hansa`` finds it."""
    folder = tmp_path_factory.mktemp("bin")
    try:
        (folder / "fsck").symlink_to(Binaries()["fsck"])
        ensure_packages(Progress(), ["hledger"])
    except (BinariesUnavailableError, PackagesMissingError) as error:
        skip_or_fail(str(error))
    (folder / "hledger").symlink_to(system_program("hledger"))
    for name, text in {
        "hansa": f'exec {sys.executable} -m hansa "$@"',
        # As kubectl does with a plug-in, which has no more to do with it.
        "kubectl": f'test "$1" = hansa && shift && exec {sys.executable} -m hansa "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Path:
    """What an auditor is handed: a month that was settled, its books and its log."""
    folder = tmp_path_factory.mktemp("copies")
    office = Office(folder)
    trade = (("ut", "lab"), ("lab", "clinic"), ("clinic", "ut"), ("ut", "clinic"))
    # Long over, whenever this runs.
    office.trade(BEGAN_MS + 3_600_000, 0, trade, names={"ut": "ut/eval", "lab": "lab/eval"})
    until = ("--until", "2026-11-02T00:00:00Z", "--output", office.file("c.json"))
    assert office.settle(*until).exit_code == 0
    office.sign(*NAMES)
    assert office.run("record", office.file("c.json")).exit_code == 0
    office.engine.dispose()
    for path in (*folder.glob("*.pem"), *folder.glob("*.receipts.json")):
        path.unlink()
    return folder


def run(command: str, programs: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    nowhere = {"PATH": f"{programs}:{os.environ['PATH']}", "KUBECONFIG": os.devnull}
    keys = {"NODE": OPERATORS["ut"].public_key, "HUB": HUB.public_key, "LOG": str(OWN.key)}
    return subprocess.run(
        [*OFFLINE, "bash", "-c", command],
        cwd=folder,
        env=os.environ | nowhere | keys | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


def test_each_command_of_the_page_says_what_the_page_says(programs: Path, copies: Path) -> None:
    seen = set()
    for command in COMMANDS:
        done = run(command, programs, copies)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}: {said}"
        for part, says in SAYS.items():
            if part in command:
                seen.add(part)
                assert says in said, f"{command}: {said}"
    assert seen == SAYS.keys()


CHANGES = {
    "a receipt's amount": ("UPDATE posting SET amount = amount + 10000", "hansa settle check"),
    "a signature": (
        'UPDATE evidence SET envelope = replace(envelope, \'"sig":"\', \'"sig":"AA\')',
        "hansa receipts clinic/train",
    ),
}


@pytest.mark.parametrize(("change", "finds"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_in_the_copies_is_found(
    programs: Path, copies: Path, tmp_path: Path, change: str, finds: str
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(copies, folder)
    drop = (
        "import sqlite3; c = sqlite3.connect('books.db');"
        " names = c.execute(\"SELECT name FROM sqlite_master WHERE type = 'trigger'\").fetchall();"
        " [c.execute(f'DROP TRIGGER {n}') for n, in names]; "
    )
    program = f"{drop}c.execute({change!r}); c.commit()"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    (command, *_) = (one for one in COMMANDS if finds in one)
    assert run(command, programs, folder).returncode
