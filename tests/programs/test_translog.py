"""Strangers judge the log: Tessera's fsck, torchwood's witness, and the libraries of both."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.build.gobuild import GoBuildError
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages
from e2e.testbed.host.progress import Progress
from hansa.adapters.clock import SystemClock
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.adapters.mldsa import MlDsaSigner
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.judgement import judge, signed_checkpoint
from hansa.translog.log.appender import Appender
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import check_consistency, check_inclusion, leaf_hash
from hansa.translog.note import KeyType, Note, VerifierKey, encoded
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.signatures import NoteSigner, verified
from tests.conftest import skip_or_fail
from tests.unit.translog.small_log import (
    ORIGIN,
    SetClock,
    appender,
    ed25519,
    entries,
    log_signer,
    ml_dsa,
    policy,
)

NOW = 1_700_000_000


def program(name):
    try:
        return str(Binaries()[name])
    except BinariesUnavailableError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def fsck():
    return program("fsck")


@pytest.fixture(scope="module")
def ask():
    """Put a question to the libraries; what they find wrong, and a note they made."""
    judge_program = program("logjudge")

    def asked(ask, **question):
        text = json.dumps({"Ask": ask, **question})
        done = subprocess.run(
            [judge_program], input=text, capture_output=True, text=True, check=True, timeout=60
        )
        answer = json.loads(done.stdout)
        return answer["Wrong"], answer["Note"]

    return asked


def kept(folder, counts):
    """Return a log of files below ``folder``, published after each of ``counts`` entries."""
    log = Appender(
        FileStore(folder / "log"),
        SqliteLeafIndex(folder / "leaves.sqlite"),
        [log_signer()],
        policy("quorum none"),
    )
    done = 0
    for count in counts:
        log.append(entries(done, count))
        log.checkpoint(SetClock())
        done = count
    return log


@contextmanager
def checking(fsck, folder):
    """Run Tessera's check over the files; it prints its findings and its exit status is always 0."""
    key = folder / "key"
    key.write_text(str(log_signer().key))
    argv = [
        fsck,
        f"--storage_url=file://{folder}/log/",
        f"--public_key={key}",
        "--ui=false",
        "-v=1",
    ]
    running = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        yield running.stderr
    finally:
        running.kill()
        running.communicate()


COUNTS = {"one": [1], "a full tile": [100, 256], "many steps": [3, 255, 300, 511, 512, 700, 1500]}


@pytest.mark.parametrize("name", COUNTS)
def test_tessera_finds_the_log_whole(fsck, tmp_path, name):
    kept(tmp_path, COUNTS[name])
    with checking(fsck, tmp_path) as lines:
        told = lines.read()
    assert f"Successfully fsck'd log with size {COUNTS[name][-1]}" in told, told


def test_tessera_finds_a_log_of_three_levels_whole(fsck, tmp_path):
    kept(tmp_path, [20_000, 65_535, 65_537, 66_000])
    with checking(fsck, tmp_path) as lines:
        told = lines.read()
    assert "Successfully fsck'd log with size 66000" in told, told


def test_tessera_sees_a_bit_that_was_turned(fsck, tmp_path):
    """The check above can fail. It goes on for ever then (v1.0.4), so its first word is taken."""
    kept(tmp_path, [1500])
    tile = tmp_path / "log/tile/0/003"
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    with checking(fsck, tmp_path) as lines:
        verdict = next(line for line in lines if "Successfully" in line or "Invalid" in line)
    assert "Invalid" in verdict


def test_tessera_s_own_log_is_read_and_every_proof_in_it_holds():
    """A log that strangers made, with a checkpoint after each of its first entries."""
    try:
        folder = Binaries().source_of("tessera") / "testdata/log"
    except GoBuildError as error:
        skip_or_fail(str(error))
    key = VerifierKey.parse(
        "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
    )
    notes = [Note.parse((folder / f"checkpoint.{n}").read_bytes()) for n in range(1, 16)]
    heads = [signed_checkpoint(note, (key,)) for note in notes]
    reader = LogReader(FileStore(folder).read)
    kept_entries = list(reader.entries(0, heads[-1].size))
    for new in heads:
        for index, entry in enumerate(kept_entries[: new.size]):
            proof = reader.inclusion(index, new.size)
            check_inclusion(index, new.size, leaf_hash(entry), proof, new.root)
        for old in heads[: new.size]:
            proof = reader.consistency(old.size, new.size)
            check_consistency((old.size, old.root), (new.size, new.root), proof)
    assert [head.size for head in heads] == list(range(1, 16))


NESTED = """
group institutions 2 tartu lyon turin
group regulators any vilnius riga
group league all institutions regulators
quorum league
"""
WITNESSES = {
    "tartu": ed25519("tartu"),
    "lyon": ml_dsa("lyon"),
    "turin": ed25519("turin"),
    "vilnius": ml_dsa("vilnius"),
    "riga": ed25519("riga"),
}


def policy_text():
    """Return the rules as a file; the library wants a URL for each witness."""
    lines = [f"witness {n} {s.key} https://{n}.example/" for n, s in WITNESSES.items()]
    return "\n".join([f"log {log_signer().key}", *lines, NESTED.strip(), ""])


RULES = Policy.parse(policy_text().encode())


def witnessed(names):
    log = appender(rules=RULES)
    log.append(entries(0, 1000))
    note = log.checkpoint(SetClock())
    for name in names:
        log.cosign(f"{WITNESSES[name].sign(note.text, NOW)}\n")
    return log


def test_our_proofs_are_accepted_and_read_as_we_write_them(ask):
    log = witnessed(["tartu", "lyon", "vilnius"])
    keys = [str(log_signer().key), *(str(WITNESSES[n].key) for n in ("tartu", "lyon", "vilnius"))]
    for index in (0, 255, 256, 511, 999):
        entry = b"receipt %d" % index
        proof = log.prove(entry).encode().decode()
        question = {"Proof": proof, "Policy": policy_text(), "Keys": keys}
        assert ask("logged", **question, Entry=encoded(entry)) == ("", proof)
        assert ask("logged", **question, Entry="")[0]


SPOKEN = {
    "two institutions and a regulator": (["tartu", "lyon", "riga"], True),
    "all": (list(WITNESSES), True),
    "institutions alone": (["tartu", "lyon", "turin"], False),
    "one institution": (["turin", "riga", "vilnius"], False),
    "nobody": ([], False),
}


@pytest.mark.parametrize("case", SPOKEN)
def test_a_policy_means_the_same_to_the_library(ask, case):
    names, enough = SPOKEN[case]
    note = witnessed(names).head
    assert (judge(note, RULES).missing == ()) is enough
    wrong, _ = ask("quorum", Note=note.encode().decode(), Policy=policy_text())
    assert (wrong == "") is enough


SIGNERS = {
    "Ed25519": (
        KeyType.COSIGNATURE_ED25519,
        Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
        Ed25519Signer,
    ),
    "ML-DSA-44": (
        KeyType.COSIGNATURE_ML_DSA_44,
        MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))),
        MlDsaSigner,
    ),
}


@pytest.mark.parametrize("kind", SIGNERS)
def test_cosignatures_go_both_ways(ask, kind):
    key_type, private, adapter = SIGNERS[kind]
    signer = NoteSigner.of("witness.example/w1", key_type, adapter(private))
    secret = encoded(bytes([key_type]) + private.private_bytes_raw())
    skey = f"PRIVATE+KEY+witness.example/w1+{signer.key.id.hex()}+{secret}"
    note = witnessed([]).head
    wrong, made = ask("cosign", Note=note.encode().decode(), Signer=skey)
    assert not wrong
    theirs = list(verified(Note.parse(made.encode()), [signer.key]))
    assert [signed.key for signed in theirs] == [signer.key]
    assert abs(theirs[0].time_s - SystemClock().now()) < 3600
    ours = note.signed([signer.sign(note.text, NOW)]).encode().decode()
    assert ask("signed", Note=ours, Keys=[str(log_signer().key), str(signer.key)]) == ("", "")
    other = ours.replace("\n1000\n", "\n1001\n")
    assert ask("signed", Note=other, Keys=[str(signer.key)])[0]


def test_consistency_proofs_are_accepted_and_no_others(ask):
    log, heads = appender(rules=policy("quorum none")), {}
    for size in (1, 255, 256, 700, 1023, 1025):
        log.append(entries(0, size))
        heads[size] = log.checkpoint(SetClock()).encode().decode()
    for old, note in heads.items():
        question = {"Old": note, "Note": heads[1025]}
        hashes = [encoded(each) for each in log.request(old).proof]
        assert ask("follows", **question, Hashes=hashes) == ("", "")
        assert ask("follows", **question, Hashes=[*hashes, encoded(bytes(32))])[0]


@pytest.fixture
def litewitness(tmp_path):
    """A torchwood witness that knows our log; its URL, and its key."""
    found = program("litewitness")
    try:
        if shutil.which("ssh-agent") is None:
            ensure_packages(Progress(), ["openssh-client"])
    except PackagesMissingError as error:
        skip_or_fail(f"ssh-agent: {error}")
    private = Ed25519PrivateKey.generate()
    signer = NoteSigner.of("lite", KeyType.COSIGNATURE_ED25519, Ed25519Signer(private))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    agent = str(tmp_path / "agent")
    argv = [found, f"-name={signer.key.name}", f"-db={tmp_path}/db", f"-listen={address}"]
    running = [subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)]
    try:
        add_key(agent, private, tmp_path / "key")
        argv += [f"-ssh-agent={agent}", f"-key={fingerprint(tmp_path / 'key')}"]
        running.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        until(lambda: asked(f"http://{address}/", None)[0] == 200)
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
    until(lambda: not subprocess.run(argv, env={"SSH_AUTH_SOCK": agent}, check=False).returncode)


def fingerprint(path):
    argv = ["ssh-keygen", "-l", "-f", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]


def until(holds):
    deadline = SystemClock().monotonic() + 60
    while not holds():
        assert SystemClock().monotonic() < deadline
        time.sleep(0.05)


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
