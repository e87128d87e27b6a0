"""Files and the index of leaves on a real disk."""

from __future__ import annotations

import os

import pytest

from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.adapters.mldsa import MlDsaSigner
from hansa.errors import Retryable, Terminal


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "log")


def test_a_file_is_read_as_it_was_written(store):
    assert store.read("tile/0/000") is None
    for body in (b"one", b"", b"three"):
        store.write("tile/0/000", body)
        assert store.read("tile/0/000") == body
    store.write("tile/0/000.p/7", b"seven")
    assert store.list("tile/0/000.p") == ["tile/0/000.p/7"]
    assert store.list("tile/0") == ["tile/0/000"]
    assert store.list("nowhere") == store.list("tile/0/000") == []
    store.delete("tile/0/000")
    store.delete("tile/0/000")
    assert store.read("tile/0/000") is None
    assert store.read("tile/0/000.p/7/8") is None


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/"])
def test_no_path_leads_out(store, path):
    for call in (store.read, store.list, store.delete, lambda p: store.write(p, b"")):
        with pytest.raises(Terminal, match="is no path below the store"):
            call(path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(store, tmp_path, monkeypatch):
    store.write("checkpoint", b"old")

    def broken(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(Retryable, match="cannot write checkpoint"):
        store.write("checkpoint", b"new")
    assert store.read("checkpoint") == b"old"
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["checkpoint"]


def test_what_is_written_is_synced_before_it_is_seen(store, tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("sync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), replace(a, b)))
    (tmp_path / "log").mkdir()
    store.write("checkpoint", b"new")
    assert order == ["sync", "rename", "sync"]


def test_a_web_server_may_read_the_files(store, tmp_path):
    store.write("checkpoint", b"new")
    assert (tmp_path / "log/checkpoint").stat().st_mode & 0o777 == 0o644


def test_the_index_remembers_over_a_restart(tmp_path):
    leaves = [bytes([number % 256, number // 256]) * 16 for number in range(1200)]
    index = SqliteLeafIndex(tmp_path / "leaves.sqlite")
    assert (index.size(), index.find(leaves)) == (0, {})
    index.add(0, leaves[:700])
    index.add(500, leaves[500:])
    index.close()
    index = SqliteLeafIndex(tmp_path / "leaves.sqlite")
    assert index.size() == 1200
    assert index.find(leaves) == {each: at for at, each in enumerate(leaves)}
    assert index.find([b"x" * 32]) == {}
    index.close()
    with pytest.raises(Retryable, match="the index of leaves"):
        index.size()
    with pytest.raises(Retryable, match="the index of leaves"):
        SqliteLeafIndex(tmp_path / "nowhere" / "leaves.sqlite")


def test_an_ml_dsa_key_is_read_as_it_was_written(tmp_path):
    signer = MlDsaSigner.generate()
    path = tmp_path / "key"
    path.write_bytes(signer.private_pem())
    assert MlDsaSigner.from_file(path).key_id == signer.key_id
    for body in (b"", b"words", Ed25519Signer.generate().private_pem()):
        path.write_bytes(body)
        with pytest.raises(Terminal):
            MlDsaSigner.from_file(path)
    with pytest.raises(Terminal, match="cannot read signing key"):
        MlDsaSigner.from_file(tmp_path / "none")
