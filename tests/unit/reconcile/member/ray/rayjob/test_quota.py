"""What the cluster lets the namespace of a run take."""

from __future__ import annotations

from hansa.model.quantities import millis, units
from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request


def test_the_quota_is_the_jobs_own_pods_with_headroom_in_each():
    hard = rendered()["ResourceQuota"]["spec"]["hard"]
    assert hard["pods"] == "4"
    assert millis(hard["requests.cpu"]) == 2 * 1000 + 1000 + 100 + 4 * 500
    assert units(hard["requests.memory"]) == 3 * (2 << 30) + (256 << 20) + 4 * (512 << 20)
    # A sidecar may take more than it asks for: Istio's has a limit of 1Gi.
    assert units(hard["limits.memory"]) == 3 * (2 << 30) + (1 << 30) + 4 * (2 << 30)
    assert hard["requests.nvidia.com/gpu"] == "2"
    tiny = request(ray={"version": "2.60.0", "workers": {"cpu": "50m", "memory": "64Mi"}})
    hard = rendered(tiny)["ResourceQuota"]["spec"]["hard"]
    # KubeRay's init container asks for more than such a worker, and the larger of both counts.
    assert millis(hard["requests.cpu"]) == 200 + 1000 + 100 + 3 * 500
