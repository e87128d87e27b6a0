"""What the tests apply to the league beside the story's jobs."""

from __future__ import annotations

from typing import Any

from e2e.testbed.addons.kwok import PLAYED
from tests.e2e.unattended_kit import manifest

CENSUS = """
import json, os, time, ray
ray.init()
@ray.remote(num_gpus=1, num_cpus=0)
def where():
    time.sleep(3)
    return ray.get_runtime_context().get_node_id()
kinds = [{k: v for k, v in n["Resources"].items() if k in ("CPU", "GPU", "ssd")} for n in ray.nodes()]
places = len(set(ray.get([where.remote(), where.remote()])))
os.makedirs(os.path.dirname(os.environ["HANSA_RESULT"]), exist_ok=True)
with open(os.environ["HANSA_RESULT"], "w") as file:
    json.dump({"kinds": kinds, "places": places}, file)
"""


def groups(image: str) -> dict[str, Any]:
    """Return a job with a GPU on its head, a group with GPUs and one without: it counts what Ray has."""
    job = manifest("left-alone", image)
    job["metadata"]["name"] = "groups"
    job["spec"] |= {
        "entrypoint": ["python3", "/code/census.py"],
        "files": [{"name": "census.py", "content": CENSUS}],
        "result": {"maxBytes": 4096},
    }
    plain = {"name": "plain", "cpu": "250m", "memory": "1Gi"}
    plain["customResources"] = [{"name": "ssd", "amount": 2}]
    job["spec"]["ray"] |= {"workerGroups": [plain]}
    job["spec"]["ray"]["head"]["gpus"] = 1
    return job


def astray(uid: str, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a namespace, and a pod in it that says it is the job's and asks for the machine abroad."""
    meta = {"name": "p", "namespace": "astray", "labels": {"hansa.dev/job-uid": uid}}
    spec = {
        "containers": [{"name": "ray", "image": image}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "nodeSelector": {PLAYED: "true"},
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "astray"}}
    return space, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
