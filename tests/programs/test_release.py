"""A release is the same bytes whoever builds it, and its bill of materials leaves nothing out."""

import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

import hansa
from e2e import release
from e2e.testbed.build.binaries import Binaries, BinariesUnavailableError
from tests.conftest import skip_or_fail

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(request, tmp_path_factory):
    """Return the folder of a release."""
    request.getfixturevalue("helm")  # where there is no Helm, this tells
    return release.build(ROOT, tmp_path_factory.mktemp("release")).parent


def test_a_copy_with_other_dates_and_rights_gives_the_same_bytes(built, tmp_path):
    copied = release.copy(tmp_path / "source")
    again = release.build(copied, tmp_path / "again", is_validated=False).parent
    names = {path.name for path in built.iterdir()}

    assert len(names) == 5
    assert names == {path.name for path in again.iterdir()}
    assert [n for n in names if (built / n).read_bytes() != (again / n).read_bytes()] == []


def test_the_digests_are_those_of_the_files(built):
    argv = ["sha256sum", "--check", "--strict", release.DIGESTS]
    answer = subprocess.run(argv, cwd=built, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout
    assert answer.stdout.count(": OK") == 4


def test_the_wheel_holds_the_product_and_its_definitions_only(built):
    (wheel,) = built.glob("*.whl")
    folders = {tuple(name.split("/")[:2]) for name in zipfile.ZipFile(wheel).namelist()}

    assert {folder[0] for folder in folders} == {"hansa", f"hansa-{hansa.__version__}.dist-info"}
    assert ("hansa", "_crds") in folders


def test_helm_reads_the_packaged_charts(built, helm):
    for name in ("hub", "member"):
        (chart,) = built.glob(f"hansa-{name}-*.tgz")
        shown = helm("show", "chart", chart)
        assert f"version: {hansa.__version__}" in shown
        with tarfile.open(chart) as archive:
            assert len({info.mtime for info in archive}) == 1


def test_the_bill_of_materials_names_every_package_of_the_runtime(built):
    document = json.loads((built / "hansa.cdx.json").read_text())
    lock = (ROOT / "requirements/runtime.lock").read_text()
    listed = {
        (part["name"], part["version"], len(part["externalReferences"][0]["hashes"]))
        for part in document["components"]
    }
    pins = re.findall(r"(?m)^([a-z0-9-]+)==(\S+) \\\n((?: +--hash=.*\n)+)", lock)

    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["version"] == hansa.__version__
    assert listed == {(name, version, hashes.count("--hash")) for name, version, hashes in pins}


def test_the_workflows_are_valid():
    try:
        program = Binaries()["actionlint"]
    except BinariesUnavailableError as error:
        skip_or_fail(str(error))
    answer = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (answer.stdout, answer.returncode) == ("", 0)
