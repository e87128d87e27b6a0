"""Images carry the digests of what is in them, and are made once."""

import hashlib
import io
import json
import tarfile

import pytest

from e2e.testbed.build.layers import BlobStore, Image, Runtime, add_bytes, content_key, oci_archive


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path)


def test_a_layer_is_named_by_its_content(store):
    layer = store.layer("key", _hello)

    body = store.path(layer.digest).read_bytes()
    assert layer.digest == "sha256:" + hashlib.sha256(body).hexdigest()
    assert layer.size_bytes == len(body)


def test_a_known_layer_is_not_made_again(store):
    first = store.layer("key", _hello)

    assert store.has("key")
    assert store.layer("key", _refuse) == first


def test_a_layer_whose_blob_was_lost_is_made_again(store):
    layer = store.layer("key", _hello)
    store.path(layer.digest).unlink()

    assert not store.has("key")
    assert store.layer("key", _hello) == layer


def test_equal_layers_under_two_keys_share_a_blob(store):
    assert store.layer("one", _hello).digest == store.layer("two", _hello).digest


def test_a_layer_that_fails_leaves_nothing_behind(store):
    with pytest.raises(AssertionError):
        store.layer("key", _refuse)

    assert not store.has("key")
    assert not list(store.root.glob(".layer-*"))


def test_the_reference_is_the_manifests_digest(store):
    image = _image(store)

    manifest = store.path(image.manifest.digest).read_bytes()
    assert image.reference == "hansa.local/x@sha256:" + hashlib.sha256(manifest).hexdigest()


def test_the_config_lists_the_layers_as_diff_ids(store):
    image = _image(store)

    manifest = json.loads(store.path(image.manifest.digest).read_bytes())
    config = json.loads(store.path(manifest["config"]["digest"]).read_bytes())
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["config"]["User"] == "65532"


def test_other_content_gives_another_digest(store):
    before = _image(store).reference
    other = store.layer("other", lambda archive: add_bytes(archive, "hello", b"other"))

    assert store.image("hansa.local/x:dev", [other], Runtime(["/hello"], user="65532")) != before


def test_an_archive_leaves_out_layers_the_receiver_has(store):
    image = _image(store)

    whole = _names(oci_archive([image], store, lambda _: True))
    thin = _names(oci_archive([image], store, lambda _: False))

    assert {"oci-layout", "index.json"} < thin < whole
    assert len(whole - thin) == 1


KEYS = {
    "content": (["a"], ["b"]),
    "split": (["ab", ""], ["a", "b"]),
    "order": (["a", "b"], ["b", "a"]),
}


@pytest.mark.parametrize(("one", "other"), KEYS.values(), ids=KEYS)
def test_keys_differ_when_anything_differs(one, other):
    assert content_key("files", one) != content_key("files", other)


def _hello(archive: tarfile.TarFile) -> None:
    add_bytes(archive, "hello", b"hello", 0o755)


def _refuse(_: tarfile.TarFile) -> None:
    raise AssertionError("made twice")


def _image(store: BlobStore) -> Image:
    layer = store.layer("key", _hello)
    return store.image("hansa.local/x:dev", [layer], Runtime(["/hello"], user="65532"))


def _names(packing) -> set[str]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        packing.write(archive)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        return set(archive.getnames())
