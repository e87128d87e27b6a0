"""A small league as the API server returns it."""

from hansa.cli.league.snapshot import Observed
from tests.residency_kit import EVERYWHERE

NOW_S = 1_800_000_000.0
EE, LV, PT = ("tartu", "EE", "EE"), ("riga", "LV", "LV"), ("lisbon", "PT", "US")
SPEC = {
    "pool": "league",
    "residency": EVERYWHERE,
    "image": "hansa.local/ray@sha256:" + "0" * 64,
    "entrypoint": ["python3", "x.py"],
    "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 1}},
}


def meta(name, **more):
    return {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1} | more


def node(name, jurisdiction, law, *, price="1.0", ready="True", reason="Ready", made="nvidia-t4"):
    condition = {"type": "Ready", "status": ready, "reason": reason, "lastTransitionTime": "x"}
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "SovereignNode",
        "metadata": meta(name),
        "spec": {
            "institution": f"{name}-uni",
            "jurisdiction": jurisdiction,
            "legalControl": [law],
            "accepted": "Accepted",
            "releaseKey": "A" * 43 + "=",
            "prices": [{"gpuClass": made, "perGpuHour": price}],
        },
        "status": {
            "declaredJurisdiction": jurisdiction,
            "declaredLegalControl": [law],
            "switch": "Open",
            "inventory": [{"gpuClass": made, "memory": "16Gi", "total": 2}],
            "shapes": [
                {
                    "machines": 1,
                    "gpuClass": made,
                    "gpus": 2,
                    "gpuMemory": "16Gi",
                    "cpu": "64",
                    "memory": "256Gi",
                }
            ],
            "conditions": [condition],
        },
    }


def job(name, *, spec=None, **status):
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "metadata": meta(name, namespace="clinic", creationTimestamp="2027-01-15T07:00:00Z"),
        "spec": SPEC | (spec or {}),
        "status": status,
    }


def league(*jobs, nodes=None, pool=None, hidden=()):
    return Observed(
        nodes=nodes or [node(*EE), node(*LV, price="0.5"), node(*PT, price="0.1")],
        pools=[{"metadata": meta("league"), "spec": {"residency": EVERYWHERE, **(pool or {})}}],
        namespaces=[
            {"metadata": meta("clinic", labels={"hansa.dev/institution": "hospital"})},
            {"metadata": meta("default")},
        ],
        jobs=jobs,
        now_s=NOW_S,
        hidden=hidden,
    )


BALTIC = {"residency": {"location": {"allow": ["Baltic"]}, "legalControl": {"allow": ["EE", "LV"]}}}
