"""A log, witnesses and a policy, small enough to read; files and index in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.mldsa import MlDsaSigner
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner

ORIGIN = "log.hansa.example/receipts"
NAMES = ("tartu", "lyon", "vilnius")
POLICY = """
# two institutions, and the regulator
group institutions 2 tartu lyon
group everybody all institutions vilnius
quorum everybody
"""


@dataclass
class SetClock:
    """A clock that stands where it was put."""

    at: float = 1_700_000_000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


@dataclass
class MemoryStore:
    """Files in a dictionary; ``fails_after`` writes the power goes."""

    files: dict[str, bytes] = field(default_factory=dict)
    fails_after: int | None = None
    writes: list[str] = field(default_factory=list)

    def read(self, path):
        return self.files.get(path)

    def write(self, path, body):
        if self.fails_after is not None and len(self.writes) >= self.fails_after:
            raise PowerCut(path)
        self.writes.append(path)
        self.files[path] = body

    def list(self, folder):
        return sorted(p for p in self.files if p.rpartition("/")[0] == folder)

    def delete(self, path):
        if self.fails_after is not None and len(self.writes) >= self.fails_after:
            raise PowerCut(path)
        self.files.pop(path, None)


class PowerCut(BaseException):
    """Ends the process at a write."""


@dataclass
class MemoryIndex:
    """Leaves in a dictionary."""

    leaves: dict[bytes, int] = field(default_factory=dict)

    def size(self):
        return len(self.leaves)

    def find(self, hashes):
        return {each: self.leaves[each] for each in hashes if each in self.leaves}

    def add(self, first, hashes):
        for at, each in enumerate(hashes):
            self.leaves.setdefault(each, first + at)


@cache
def ed25519(name, kind=KeyType.COSIGNATURE_ED25519, seed=0):
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) + name.encode().ljust(31, b"."))
    return NoteSigner.of(name, kind, Ed25519Signer(key))


@cache
def ml_dsa(name):
    return NoteSigner.of(name, KeyType.COSIGNATURE_ML_DSA_44, MlDsaSigner.generate())


def log_signer(seed=0, origin=ORIGIN):
    return ed25519(origin, KeyType.ED25519, seed)


def policy(text=POLICY, signers=None, log=None):
    signers = signers or {name: ed25519(name) for name in NAMES}
    lines = [f"log {(log or log_signer()).key}"]
    lines += [f"witness {name} {signer.key}" for name, signer in signers.items()]
    return Policy.parse("\n".join([*lines, text.strip(), ""]).encode())


def appender(store=None, index=None, rules=None, signers=None):
    store = MemoryStore() if store is None else store
    index = MemoryIndex() if index is None else index
    return Appender(store, index, signers or [log_signer()], rules or policy())


def entries(begin, end):
    return [b"receipt %d" % number for number in range(begin, end)]


def published(count, rules=None, signers=None, clock=None):
    """Return an appender that published ``count`` entries and got all ``signers`` to cosign."""
    log = appender(rules=rules)
    log.append(entries(0, count))
    note = log.checkpoint(clock or SetClock())
    for signer in signers or [ed25519(name) for name in NAMES]:
        log.cosign(f"{signer.sign(note.text, int((clock or SetClock()).now()))}\n")
    return log
