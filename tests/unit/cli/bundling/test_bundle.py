"""The archive for a site without a network: complete, the same every time, and every change of it noticed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.cli.bundling import archive
from hansa.cli.bundling.bundle import bundle
from hansa.cli.bundling.charts import own_chart, packed_chart
from hansa.cli.bundling.contents import chart_images, extra_image
from hansa.errors import Terminal

ROOT = Path(__file__).parents[4]
HELM = ROOT / "helm"
MEMBER = HELM / "hansa-member"


def add(to: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    to.addfile(info, io.BytesIO(data))


def oci_archive(path: Path, *, layer: bytes = b"layer", forged: bool = False) -> str:
    """Write an image as ``skopeo`` does and return its digest."""
    blobs = [layer, b"{}"]
    named = [f"sha256:{hashlib.sha256(blob).hexdigest()}" for blob in blobs]
    manifest = json.dumps(
        {"layers": [{"digest": named[0]}], "config": {"digest": named[1]}}
    ).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as layout:
        add(layout, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(layout, "index.json", json.dumps({"manifests": [{"digest": digest}]}).encode())
        for name, blob in zip([*named, digest], [*blobs, manifest], strict=True):
            content = b"forged" if forged and blob == layer else blob
            add(layout, f"blobs/sha256/{name.removeprefix('sha256:')}", content)
    return digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path


@pytest.fixture
def held(folder: Path):
    """An image that lies in the folder."""
    digest = oci_archive(folder / "images/made.tar")
    image = extra_image(f"r.example:5000/team/ray@{digest}")
    (folder / "images/made.tar").rename(folder / image.file)
    return image


def written(folder: Path, *images, name="bundle.tar") -> Path:
    archive.write(folder / name, [own_chart(MEMBER)], images, folder)
    return folder / name


def test_a_whole_archive_is_verified_and_always_the_same(folder, held):
    first, second = written(folder, held), written(folder, held, name="again.tar")
    found = archive.verify(first)

    assert (found.wrong, found.missing, found.images) == ((), (), (held,))
    assert found.files == 4
    assert first.read_bytes() == second.read_bytes()


def test_what_is_not_there_is_missing_and_not_wrong(folder, held):
    other = extra_image("r.example/x@sha256:" + "1" * 64)
    found = archive.verify(written(folder, held, other))
    assert (found.wrong, found.missing) == ((), (other,))


def changed(path: Path, change) -> Path:
    """Write an archive anew with its files changed."""
    with tarfile.open(path) as old:
        files = {m.name: old.extractfile(m).read() for m in old.getmembers()}
    change(files)
    with tarfile.open(path, "w") as new:
        for name, data in files.items():
            add(new, name, data)
    return path


def resum(files: dict[str, bytes]) -> None:
    files[archive.SUMS] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in files.items()
        if name != archive.SUMS
    ).encode()


CHART = "charts/hansa-member.tgz"
TAMPERED = {
    "a chart": (lambda files, _: files.update({CHART: b"x"}), f"{CHART}: its digest is another"),
    "one more file": (lambda files, _: files.update(extra=b"x"), "extra: not listed"),
    "one file less": (lambda files, _: files.pop(CHART), f"{CHART}: missing"),
    "the list": (lambda files, _: files.update({archive.LIST: b"[]"}), "images.json: its digest"),
    "an image": (lambda files, image: files.update({image.file: b"x"}), "no OCI archive"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_was_changed_is_told(folder, held, name):
    change, words = TAMPERED[name]
    path = changed(written(folder, held), lambda files: change(files, held))
    assert words in " ".join(archive.verify(path).wrong)


FORGED = {"another image": {"layer": b"other"}, "a blob of something else": {"forged": True}}


@pytest.mark.parametrize("name", FORGED)
def test_an_image_is_held_against_its_digest_whatever_the_sums_say(folder, held, name):
    def forge(files: dict[str, bytes]) -> None:
        oci_archive(folder / "images/forged.tar", **FORGED[name])
        files[held.file] = (folder / "images/forged.tar").read_bytes()
        resum(files)

    [wrong] = archive.verify(changed(written(folder, held), forge)).wrong
    assert wrong.startswith(held.file)
    (folder / held.file).write_bytes((folder / "images/forged.tar").read_bytes())
    with pytest.raises(Terminal, match="make it again: skopeo copy"):
        written(folder, held)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 10240])
def test_what_is_no_bundle_is_a_sentence(tmp_path, content):
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(Terminal, match="is no bundle"):
        archive.verify(path)


def values(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    return path


def test_images_come_from_the_values_and_go_to_the_sites_registry(tmp_path):
    digest = "sha256:" + "a" * 64
    text = (
        f"global: {{imageRegistry: mirror.example/league}}\nimage: {{digest: {digest}}}\n"
        f"resolver: {{image: 'docker.io/coredns/coredns:1.15.0@{digest}'}}\n"
    )
    own, resolver = chart_images(MEMBER, values(tmp_path, text))
    assert (own.source, own.target) == ("hansa.local/hansa", "mirror.example/league/hansa")
    assert resolver.source == "docker.io/coredns/coredns"
    assert resolver.target == "mirror.example/league/coredns/coredns"
    assert resolver.pull.startswith(
        f"skopeo copy --all docker://docker.io/coredns/coredns@{digest} oci-"
    )


UNNAMED = {
    "image: {repository: r.example/hansa}": "hansa-member: image.digest: r.example/hansa is not named",
    f"image: {{digest: 'sha256:{'a' * 64}'}}": "hansa-member: resolver.image: docker.io/coredns",
    "- 1": "holds no values",
    "a: [": "cannot read values",
}


@pytest.mark.parametrize("text", UNNAMED)
def test_an_image_by_tag_is_refused_by_its_value(tmp_path, text):
    with pytest.raises(Terminal, match=UNNAMED[text]):
        list(chart_images(MEMBER, values(tmp_path, text)))


def test_the_command_lists_packs_and_verifies(folder, held):
    run = CliRunner().invoke
    site = str(MEMBER / "ci/air-gapped.yaml")
    named = f"{held.source}@{held.digest}"
    out = str(folder / "league.tar")
    where = ("--charts", str(HELM), "--folder", str(folder), "--output", out)

    made = run(bundle, ["--member-values", site, "--image", named, *where])
    assert made.exit_code == 0, made.output
    assert named in made.output
    with tarfile.open(out) as written_archive:
        packed = written_archive.extractfile(CHART).read()
    assert f"{CHART}@sha256:{hashlib.sha256(packed).hexdigest()}\n" in made.output
    assert "1 charts, 1 images" in made.output
    assert made.output.count("  skopeo copy --all docker://") == 2
    told = run(bundle, ["--verify", out])
    assert told.exit_code == 1
    assert told.output.count("missing: ") == 2
    changed(Path(out), lambda files: files.update({CHART: b"x"}))
    assert isinstance(run(bundle, ["--verify", out]).exception, Terminal)
    assert "give --hub-values" in run(bundle, ["--charts", str(HELM)]).output


def kuberay_chart(folder: Path, image: str = "{repository: quay.io/kuberay/operator, tag: v1.6.1}"):
    """Write a chart as `helm pull` leaves it, with one that it depends on."""
    path, texts = folder / "kuberay-operator-1.6.1.tgz", {
        "Chart.yaml": "{name: kuberay-operator, version: 1.6.1}",
        "charts/other/values.yaml": "image: {repository: other, tag: x}",
        "values.yaml": f"image: {image}",
    }  # fmt: skip
    with tarfile.open(path, "w:gz") as chart:
        for name, text in texts.items():
            add(chart, f"kuberay-operator/{name}", text.encode())
    return path


def test_another_projects_chart_and_the_image_it_names(folder):
    chart, site = kuberay_chart(folder), str(MEMBER / "ci/air-gapped.yaml")
    digest, out = "sha256:" + "2" * 64, str(folder / "league.tar")
    asked = ["--member-values", site, "--charts", str(HELM), "--folder", str(folder)]
    asked += ["--chart", str(chart), "--output", out]

    said = CliRunner().invoke(bundle, asked)
    assert isinstance(said.exception, Terminal)
    assert "give --image quay.io/kuberay/operator@sha256:" in str(said.exception)
    assert not Path(out).exists()

    made = CliRunner().invoke(bundle, [*asked, "--image", f"quay.io/kuberay/operator@{digest}"])
    assert made.exit_code == 0, made.output
    sum_ = hashlib.sha256(chart.read_bytes()).hexdigest()
    assert f"charts/kuberay-operator.tgz@sha256:{sum_}\n" in made.output
    assert made.output.count(f"quay.io/kuberay/operator@{digest}\n") == 1
    assert "2 charts" in made.output
    assert archive.verify(Path(out)).wrong == ()


def test_a_chart_that_names_its_image_by_digest_needs_no_other_word(folder):
    digest = "sha256:" + "3" * 64
    chart = kuberay_chart(folder, f"{{repository: quay.io/kuberay/operator, tag: 'v1@{digest}'}}")
    site = str(MEMBER / "ci/air-gapped.yaml")
    asked = ["--member-values", site, "--charts", str(HELM), "--folder", str(folder)]
    made = CliRunner().invoke(bundle, [*asked, "--chart", str(chart)])
    assert f"quay.io/kuberay/operator@{digest}\n" in made.output


@pytest.mark.parametrize("content", [b"", b"x", b"\x1f\x8b", None])
def test_what_is_no_chart_is_a_sentence(folder, content):
    path = kuberay_chart(folder, "{repository: only}")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Terminal, match="no packed chart"):
        packed_chart(path)


def test_a_whole_bundle_says_how_its_images_go_into_the_registry(folder, held):
    told = CliRunner().invoke(bundle, ["--verify", str(written(folder, held))])
    assert told.exit_code == 0
    assert (
        f"skopeo copy --all --preserve-digests oci-archive:{held.file} docker://{held.target}"
        in (told.output)
    )


VALUES = {"an image that is text": "image: x", "a global part that is a list": "global: [x]"}


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES)
def test_values_that_no_chart_takes_are_told(tmp_path, text):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match="is no mapping"):
        list(chart_images(MEMBER, path))


@pytest.mark.parametrize("text", ["image: null", "resolver: {image: null}"])
def test_an_image_that_was_taken_out_is_told(tmp_path, text):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match="not named by digest"):
        list(chart_images(MEMBER, path))


def test_an_archive_is_checked_where_there_are_no_charts(tmp_path, monkeypatch):
    """At the site without a network there is the archive, and nothing else of ours."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bundle.tar"
    archive.write(path, [own_chart(MEMBER)], [], tmp_path)

    done = CliRunner().invoke(bundle, ["--verify", str(path)])

    assert done.exit_code == 0, done.output


def test_a_folder_without_charts_is_a_usage_error(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("")
    done = CliRunner().invoke(bundle, ["--charts", str(tmp_path), "--member-values", str(values)])
    assert done.exit_code == 2
    assert "there is no chart in" in done.output
