"""Who may charge a job to a project, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import KubectlError
from tests.apiserver.charts.charted import Charted, bare, hub_installed, thing

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def hub(binaries: Binaries) -> Iterator[Charted]:
    with hub_installed(binaries) as charted:
        yield charted


def test_only_members_charge_jobs_to_a_project(hub: Charted):
    hub.apply(thing("Namespace", "lab", labels={"hansa.dev/institution": "lab"}))
    for name, members in (("ours", ["ana", "group-b"]), ("open", [])):
        hub.apply(
            bare("Project", "lab", members=members)
            | {"metadata": {"namespace": "lab", "name": name}}
        )
    role = ("create", "clusterrolebinding", "charging", "--clusterrole=hansa-aijob-edit")
    hub.kubectl(*role, "--group=charging")

    def charge(project: str, user: str, *groups: str) -> str:
        acting = [part for group in ("charging", *groups) for part in ("--as-group", group)]
        text = json.dumps(bare("AIJob", "lab", project=project))
        return hub.kubectl(*acting, "create", "--dry-run=server", "-f", "-", user=user, stdin=text)

    for project, user, groups in (
        ("ours", "ana", ()),
        ("ours", "eve", ("group-b",)),
        ("open", "eve", ()),
    ):
        assert "created" in charge(project, user, *groups)
    with pytest.raises(KubectlError, match="eve is no member of project ours"):
        charge("ours", "eve")
