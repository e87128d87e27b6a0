"""Notes and keys: each in one spelling, what differs is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.errors import Terminal
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.merkle import EMPTY_ROOT
from hansa.translog.note import KeyType, Note, Signature, VerifierKey, encoded
from hansa.translog.signatures import verified
from tests.unit.translog.small_log import ed25519, log_signer, ml_dsa

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of Go's golang.org/x/mod/sumdb/note, from which the format comes."""


def test_the_note_of_the_go_library_verifies():
    note = Note.parse(GO_NOTE.encode())
    key = VerifierKey.parse(GO_KEY)
    assert [signed.key for signed in verified(note, [key])] == [key]
    assert (str(key), note.encode()) == (GO_KEY, GO_NOTE.encode())


SIGNERS = {"log": log_signer(), "ed25519": ed25519("tartu"), "ml-dsa-44": ml_dsa("tartu")}


@pytest.mark.parametrize("name", SIGNERS)
def test_a_key_is_read_as_it_is_written(name):
    key = SIGNERS[name].key
    assert VerifierKey.parse(str(key)) == key


BAD_KEYS = {
    "nothing": "",
    "no parts": "PeterNeumann",
    "no name": "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "a space": "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "another id": "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "upper case": "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "cut": "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
    "no base64": "PeterNeumann+c74f20a3+****",
    "unknown type": "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "too long": "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
    "an Ed25519 key as ML-DSA": "PeterNeumann+c74f20a3+Bhpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_wrong_key_is_refused(case):
    with pytest.raises(Terminal):
        VerifierKey.parse(BAD_KEYS[case])


LINE = GO_NOTE.splitlines()[-1]
BAD_NOTES = {
    "nothing": b"",
    "no signatures": b"text\n",
    "no lines": b"text\n\n",
    "no empty line": b"text\n" + LINE.encode() + b"\n",
    "not ended": f"text\n\n{LINE}".encode(),
    "a line more": f"text\n\n{LINE}\n\n".encode(),
    "a minus for the dash": f"text\n\n-{LINE[1:]}\n".encode(),
    "no name": f"text\n\n—  {LINE.split()[-1]}\n".encode(),
    "two spaces": f"text\n\n{LINE.replace('x08', ' x08')}\n".encode(),
    "other base64": f"text\n\n{LINE[:-2]}N=\n".encode(),
    "base64 without end": f"text\n\n{LINE[:-1]}\n".encode(),
    "an id alone": f"text\n\n— a {encoded(b'1234')}\n".encode(),
    "a tab": f"te\txt\n\n{LINE}\n".encode(),
    "a carriage return": f"text\r\n\n{LINE}\n".encode(),
    "latin-1": b"t\xe9xt\n\n" + LINE.encode() + b"\n",
    "too many": ("text\n\n" + f"{LINE}\n" * 101).encode(),
    "too long": ("x" * 600_000 + f"\n\n{LINE}\n").encode(),
}


@pytest.mark.parametrize("case", BAD_NOTES)
def test_a_wrong_note_is_refused(case):
    with pytest.raises(Terminal) as refusal:
        Note.parse(BAD_NOTES[case])
    assert refusal.value.reason == "Malformed"


@given(st.binary(max_size=200))
def test_no_bytes_end_the_process(body):
    try:
        note = Note.parse(body)
    except Terminal:
        return
    assert note.encode() == body


def test_as_many_signatures_as_the_specification_asks_for():
    signers = [ed25519(f"w{number}") for number in range(16)]
    text = str(Checkpoint("log", 0, EMPTY_ROOT))
    note = Note(text).signed(signer.sign(text, 1) for signer in signers)
    read = Note.parse(note.encode())
    assert len(list(verified(read, [signer.key for signer in signers]))) == 16


def test_a_signature_line_is_added_once():
    line = Signature("a", b"1234", b"body")
    assert Note("text\n", (line,)).signed([line, line]).signatures == (line,)


def checkpoint(text):
    return Checkpoint.parse(text)


ROOT = base64.b64encode(bytes(32)).decode()
BAD_CHECKPOINTS = {
    "two lines": "log\n1\n",
    "not ended": f"log\n1\n{ROOT}",
    "no origin": f"\n1\n{ROOT}\n",
    "an empty extension": f"log\n1\n{ROOT}\n\n",
    "a leading zero": f"log\n01\n{ROOT}\n",
    "a sign": f"log\n+1\n{ROOT}\n",
    "another script's digit": f"log\n١\n{ROOT}\n",
    "too large": f"log\n{2**63}\n{ROOT}\n",
    "a short root": f"log\n1\n{ROOT[:-4]}\n",
    "no base64": f"log\n1\n{ROOT[:-2]}!=\n",
    "a root of nothing": f"log\n0\n{ROOT}\n",
    "a long extension": f"log\n1\n{ROOT}\n{'x' * 5000}\n",
}


@pytest.mark.parametrize("case", BAD_CHECKPOINTS)
def test_a_wrong_checkpoint_is_refused(case):
    with pytest.raises(Terminal):
        checkpoint(BAD_CHECKPOINTS[case])


def test_a_checkpoint_is_read_as_it_is_written():
    text = f"log with spaces\n{2**63 - 1}\n{ROOT}\nan extension\n"
    assert str(checkpoint(text)) == text
    assert str(checkpoint(str(Checkpoint("log", 0, EMPTY_ROOT)))).startswith("log\n0\n47DEQpj8")


@pytest.mark.parametrize("name", SIGNERS)
def test_what_is_signed_cannot_be_changed(name):
    signer = SIGNERS[name]
    text = str(Checkpoint("log", 7, bytes(32)))
    line = signer.sign(text, 1_700_000_000)
    assert next(verified(Note(text, (line,)), [signer.key])).key == signer.key
    for other in (
        text.replace("log", "lag"),
        text.replace("7", "8"),
        text.replace("AAAA", "AAAB", 1),
    ):
        with pytest.raises(Terminal, match="does not hold"):
            list(verified(Note(other, (line,)), [signer.key]))
    for at in (0, 7, 8, len(line.body) // 2, len(line.body) - 1):
        body = bytes([*line.body[:at], line.body[at] ^ 1, *line.body[at + 1 :]])
        with pytest.raises(Terminal, match=r"does not hold|out of range"):
            list(verified(Note(text, (Signature(line.name, line.key_id, body),)), [signer.key]))
    for body in (line.body[:-1], line.body + b"\0"):
        with pytest.raises(Terminal, match="does not hold"):
            list(verified(Note(text, (Signature(line.name, line.key_id, body),)), [signer.key]))


def test_a_key_signs_in_one_way_only():
    """A cosigner's key used as a log's would sign what it never saw."""
    cosigner, log = ed25519("tartu"), ed25519("tartu", KeyType.ED25519)
    assert cosigner.key.public == log.key.public
    assert cosigner.key.id != log.key.id
    text = str(Checkpoint("tartu", 7, bytes(32)))
    line = cosigner.sign(text, 5)
    posed = Signature(line.name, log.key.id, line.body[8:])
    with pytest.raises(Terminal, match="does not hold"):
        list(verified(Note(text, (posed,)), [log.key]))
    assert list(verified(Note(text, (line,)), [log.key])) == []
