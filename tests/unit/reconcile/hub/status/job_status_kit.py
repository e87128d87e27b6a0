"""What the tests of an AIJob's status share: a grant, a bill, and statuses taken apart."""

from hansa.model.times import rfc3339
from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.status.billing import Bill
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition, grant_manifest

AT = rfc3339(NOW_S)
RAN, DONE = rfc3339(NOW_S - 60), rfc3339(NOW_S - 5)
BILL = Bill(gpu_seconds=7, wall_seconds=9, cost_micros=1_250_000, currency="EUR")
BILLED = {
    "usage": {"gpuSeconds": 7, "wallSeconds": 9},
    "cost": {"amount": "1.25", "currency": "EUR"},
}
YES = condition("Accepted")
RUNNING = condition("Running", "True", "Running", "A worker runs.")
VALID = ("Accepted", "True", "Accepted", "The request is valid.")
GRANTED = ("Placed", "True", "Placed", "Granted to node tartu.")
PREEMPTED = ("Preempted", "True", "Preempted", "Stopped in favour of work of lab.")
HOLDS = {"node": "tartu", "epoch": 1}
GAINING = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
VICTIM = {
    "preemptions": [
        {"node": "tartu", "epoch": 1, "inFavourOf": "lab", "gainingUid": GAINING, "at": AT}
    ]
}


def view(status=None, **more):
    thing = grant_manifest(status=status, **more)
    thing["metadata"]["creationTimestamp"] = rfc3339(NOW_S - 100)
    return parse_grant(thing)


def facts(status):
    return [
        (row["type"], row["status"], row["reason"], row["message"]) for row in status["conditions"]
    ]


def fields(status):
    return {key: value for key, value in status.items() if key != "conditions"}


def seen(job, **more):
    return {"observedGeneration": 1, "specDigest": job.parsed.digest} | more
