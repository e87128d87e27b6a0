"""The ledger's books as a treasurer and an auditor read them: by ``hansa``, and by nothing else.

The auditor has a bundle, two public keys and the log's; no cluster is asked, and where this runs as root
there is no network to ask one over.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hansa.translog.note import KeyType, VerifierKey

ORIGIN = "hansa.dev/receipts"
"""What the ledger calls its log by itself."""
OFFLINE = ("unshare", "--net")


class BooksError(AssertionError):
    """A command about the books failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Books:
    """Where one league's ledger keeps what it keeps."""

    folder: Path
    """Behind its volume: the database, the log and its index."""
    hub_key: str
    """The hub's public key, base64."""

    @property
    def database(self) -> str:
        """URL of the books."""
        return f"sqlite:///{self.folder / 'books.db'}"

    @property
    def log_key(self) -> str:
        """The log's key, as its readers are told it: the hub's under the log's name."""
        return str(VerifierKey(ORIGIN, KeyType.ED25519, base64.b64decode(self.hub_key)))

    def receipts(self, job: str) -> Path | None:
        """Write the bundle of a job, ``namespace/name``; None: the ledger has not got so far."""
        bundle = self.folder.parent / f"{job.replace('/', '.')}.receipts.json"
        place = ("--database", self.database, "--log", str(self.folder / "log"))
        done = _hansa("receipts", job, *place, "--bundle", str(bundle))
        return bundle if done.returncode == 0 else None

    def bill(self, job: str) -> str:
        """Return what ``hansa bill`` prints, an error as well."""
        done = _hansa("bill", job, "--database", self.database)
        return done.stdout + done.stderr

    def balance(self, institution: str) -> str:
        """Return what ``hansa balance`` prints; raises ``BooksError`` where the books are not in order."""
        done = _hansa("balance", institution, "--database", self.database)
        if done.returncode:
            raise BooksError(f"hansa balance {institution}: {done.stdout}{done.stderr}")
        return done.stdout.rstrip()

    def accounts(self, institution: str) -> dict[str, Fraction]:
        """Return kind → balance in euros, as ``hansa balance`` prints them: those that are not empty."""
        row = rf"^\s*{re.escape(institution)}\s+(\w+)\s+(-?[0-9.]+) EUR\s*$"
        found = re.findall(row, self.balance(institution), re.MULTILINE)
        return {kind: Fraction(amount) for kind, amount in found}

    def settle(self, step: str, *args: str | Path, books: bool = True) -> str:
        """Return what ``hansa settle STEP`` prints; raises ``BooksError`` where it fails.

        ``books``: whether it reads or writes the ledger's database.
        """
        place = ("--database", self.database) if books else ()
        done = _hansa("settle", step, *map(str, args), *place)
        if done.returncode:
            raise BooksError(f"hansa settle {step}: {done.stdout}{done.stderr}")
        return done.stdout

    def verify(self, bundle: Path, node_key: str) -> str:
        """Return what ``hansa verify`` prints; raises ``BooksError`` where anything does not hold."""
        keys = ("--key", node_key, "--key", self.hub_key, "--log-key", self.log_key)
        offline = OFFLINE if os.geteuid() == 0 else ()
        done = _hansa("verify", str(bundle), *keys, before=offline)
        if done.returncode:
            raise BooksError(f"hansa verify {bundle.name}: {done.stdout}{done.stderr}")
        return done.stdout


def _hansa(*args: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    nowhere = {"KUBECONFIG": os.devnull, "COLUMNS": "200"}
    argv = [*before, sys.executable, "-m", "hansa", *args]
    return subprocess.run(
        argv, env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
