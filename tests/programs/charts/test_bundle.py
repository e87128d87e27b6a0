"""What ``hansa bundle`` reads from values is what Helm renders from them, and Helm takes the charts it packs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from hansa.cli.bundling import archive
from hansa.cli.bundling.charts import own_chart
from hansa.cli.bundling.contents import chart_images
from tests.programs.conftest import ROOT, Render

HELM = ROOT / "helm"
CASES = [path for path in sorted(HELM.glob("*/ci/*.yaml")) if path.name != "default.yaml"]


@pytest.mark.parametrize("path", CASES, ids=[f"{p.parents[1].name} {p.stem}" for p in CASES])
def test_it_lists_the_images_that_are_rendered(render: Render, path: Path):
    chart = path.parents[1]
    rendered = {
        box["image"].replace(":1.15.0@", "@")
        for one in render(chart.name, path)
        if one["kind"] in {"Deployment", "DaemonSet", "Job"}
        for box in one["spec"]["template"]["spec"]["containers"]
    }
    assert rendered == {f"{one.target}@{one.digest}" for one in chart_images(chart, path)}


def test_helm_installs_from_what_it_packs(helm, tmp_path: Path):
    archive.write(tmp_path / "b.tar", [own_chart(HELM / "hansa-member")], (), tmp_path)
    with tarfile.open(tmp_path / "b.tar") as bundle:
        file = bundle.extractfile("charts/hansa-member.tgz")
        assert file is not None
        (tmp_path / "chart.tgz").write_bytes(file.read())
        listed = bundle.extractfile(archive.LIST)
        assert json.load(io.BytesIO(listed.read() if listed else b"")) == []
    argv = ("template", "x", tmp_path / "chart.tgz", "--kube-version=1.37.2", "--set=node=a")
    assert helm(*argv) == helm("template", "x", HELM / "hansa-member", *argv[3:])
