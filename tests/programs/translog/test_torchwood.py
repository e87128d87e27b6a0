"""A stranger as a witness: torchwood's litewitness cosigns our log, and refuses its forks."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.progress import Progress
from hansa.adapters.keys import Ed25519Signer
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.signatures import NoteSigner
from tests.conftest import skip_or_fail
from tests.unit.translog.small_log import (
    ORIGIN,
    SetClock,
    appender,
    entries,
    log_signer,
    policy,
)


@pytest.fixture
def litewitness(tmp_path):
    """A torchwood witness that knows our log; its URL, and its key."""
    try:
        found = str(Binaries()["litewitness"])
        if shutil.which("ssh-agent") is None:
            ensure_packages(Progress(), ["openssh-client"])
    except (BinariesUnavailableError, PackagesMissingError) as error:
        skip_or_fail(str(error))
    private = Ed25519PrivateKey.generate()
    signer = NoteSigner.of("lite", KeyType.COSIGNATURE_ED25519, Ed25519Signer(private))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    agent = str(tmp_path / "agent")
    argv = [found, f"-name={signer.key.name}", f"-db={tmp_path}/db", f"-listen={address}"]
    running = [subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)]
    try:
        add_key(agent, private, tmp_path / "key")
        argv += [f"-ssh-agent={agent}", f"-key={fingerprint(tmp_path / 'key')}"]
        running.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        wait_until(lambda: asked(f"http://{address}/", None)[0] == 200, what="it to serve")
        with closing(sqlite3.connect(tmp_path / "db")) as database, database:
            root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            database.execute("INSERT INTO log VALUES (?, 0, ?)", (ORIGIN, root))
            database.execute("INSERT INTO key VALUES (?, ?)", (ORIGIN, str(log_signer().key)))
        yield f"http://{address}/add-checkpoint", signer.key
    finally:
        for process in running:
            process.terminate()
            process.wait()


def add_key(agent, private, path):
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    argv = ["ssh-add", "-q", str(path)]

    def taken():
        return not subprocess.run(argv, env={"SSH_AUTH_SOCK": agent}, check=False).returncode

    wait_until(taken, what="the agent to take the key")


def fingerprint(path):
    argv = ["ssh-keygen", "-l", "-f", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]


def asked(url, body):
    try:
        with urllib.request.urlopen(url, data=body, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_torchwood_witness_cosigns_our_log(litewitness):
    url, key = litewitness
    rules = Policy.parse(f"log {log_signer().key}\nwitness lite {key}\nquorum lite\n".encode())
    log = appender(rules=rules)
    known = 0
    for size in (5, 5, 256, 300, 1000):
        log.append(entries(0, size))
        log.checkpoint(SetClock())
        status, lines = asked(url, log.request(known).encode())
        assert status == 200
        assert log.cosign(lines).missing == ()
        known = size
    proof = LogProof.parse(log.prove(b"receipt 999").encode())
    assert set(proof.verify(b"receipt 999", rules).cosigned_s) == {"lite"}
    assert asked(url, log.request(300).encode()) == (409, "1000\n")


def test_a_torchwood_witness_does_not_cosign_a_fork_of_it(litewitness):
    """What our own witness refuses, a stranger refuses as well."""
    url, _ = litewitness
    log, fork = (appender(rules=policy("quorum none")) for _ in range(2))
    log.append(entries(0, 100))
    log.checkpoint(SetClock())
    assert asked(url, log.request(0).encode())[0] == 200
    for size in (100, 200):
        fork.append([b"another", *entries(1, size)])
        note = fork.checkpoint(SetClock())
        assert Checkpoint.parse(note.text).size == size
        assert asked(url, fork.request(100).encode())[0] == 422
