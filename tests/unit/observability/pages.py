"""What a process exports when it has something to say on every row of the table of metrics."""

from prometheus_client import generate_latest

from hansa.observability import collectors
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.observability.views import GpuCount, HubReading, MemberReading

FULL = {
    "hub": lambda: collectors.hub_samples(
        HubReading(
            jobs={("p", "r"): 1},
            gpus=(GpuCount("i", "j", "c", 1, 1, 1),),
            node_lease_age_s={"n": 1},
            watch_event_age_s={"r": 1},
            objects={("k", "c", "s", "r"): 1},
            leases={"hansa-hub": True},
            plan_gap=0.0,
            prices_age_s=1.0,
            clock_skew_s=0.2,
            events={"written": 1},
        )
    ),
    "member": lambda: collectors.member_samples(
        MemberReading(
            jobs={"Running": 1},
            gpus={"c": 1},
            gpus_held={"c": 1},
            machine_gpus={"m": 1},
            offered_gpus={"m": 1},
            watch_event_age_s={"r": 1},
            conditions={"Enforcing": True},
            hub_contact_age_s=1,
            token_remaining_s=1,
            clock_skew_s=1,
            events={"written": 1},
        )
    ),
}


def full_page(process):
    """Return the page of a process that has counted every transition once."""
    instruments = Instruments(process)
    instruments.attach(collectors.SampleCollector(FULL[process]))
    for metric in (x for x in m.exported_by(process) if x.source == "transition"):
        feed = instruments.observe if metric.type == "histogram" else instruments.add
        feed(metric, 1.0, **dict.fromkeys(metric.labels, "x"))
    return generate_latest(instruments.registry)
