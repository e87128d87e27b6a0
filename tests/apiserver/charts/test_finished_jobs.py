"""The hub deletes finished jobs whose owner said for how long they stay, on a real API server, and no others."""

from __future__ import annotations

import pytest

from e2e.testbed.cluster.controlplane import KubectlError
from tests.apiserver.charts.charted import HUB, Charted, bare, patched

pytestmark = pytest.mark.apiserver


# Seconds for which its owner keeps it, how it ended; whether the hub may delete it.
FINISHED = {
    "finished, and not to stay": (0, {"type": "Succeeded", "status": "True"}, True),
    "failed, and not to stay": (60, {"type": "Failed", "status": "True"}, True),
    "finished, and kept": (None, {"type": "Succeeded", "status": "True"}, False),
    "not finished": (0, {"type": "Running", "status": "True"}, False),
    "it did not succeed": (0, {"type": "Succeeded", "status": "False"}, False),
}


@pytest.mark.parametrize("case", FINISHED)
def test_it_deletes_only_finished_jobs_that_are_not_to_stay(shared_hub: Charted, case: str):
    ttl_s, said, may = FINISHED[case]
    job = bare("AIJob", "hospital", ttlSecondsAfterFinished=ttl_s)
    if ttl_s is None:
        del job["spec"]["ttlSecondsAfterFinished"]
    job["metadata"]["name"] = name = case.replace(" ", "-").replace(",", "")
    shared_hub.apply(job)
    at = "2026-01-01T00:00:00Z"
    row = said | {"reason": "Because", "message": "", "lastTransitionTime": at}
    told = {"status": {"finishedAt": at, "conditions": [row]}}
    patched(shared_hub, f"aijob/{name}", told, "--subresource=status", space="hospital")
    delete = ("delete", f"aijob/{name}", "-n", "hospital", "--wait=false")

    if may:
        assert "deleted" in shared_hub.kubectl(*delete, user=HUB)
    else:
        with pytest.raises(KubectlError, match="ttlSecondsAfterFinished"):
            shared_hub.kubectl(*delete, user=HUB)
