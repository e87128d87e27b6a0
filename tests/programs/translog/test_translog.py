"""Strangers judge the log: Tessera's fsck, and the libraries around it and torchwood."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from e2e.testbed.build.gobuild import GoBuildError
from hansa.adapters.clock import SystemClock
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.adapters.mldsa import MlDsaSigner
from hansa.translog.judgement import judge, signed_checkpoint
from hansa.translog.log.appender import Appender
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import check_consistency, check_inclusion, leaf_hash
from hansa.translog.note import KeyType, Note, VerifierKey, encoded
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner, verified
from tests.conftest import skip_or_fail
from tests.unit.translog.small_log import (
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


SIGNERS: dict[str, tuple[Any, ...]] = {
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
