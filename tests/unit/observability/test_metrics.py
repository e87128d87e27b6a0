"""The table of metrics and everything made from it."""

import re
import threading

import aiohttp
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hansa.observability import collectors
from hansa.observability import metrics as m
from hansa.observability.bounds import MAX_REASONS
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.views import GpuCount, HubReading, MemberReading
from tests.unit.observability.pages import FULL

UNITS = ("amount", "seconds", "bytes", "joules_total", "watts", "celsius", "ratio", "total", "info")
COUNTED = (
    "audits",
    "probes",
    "receipts",
    "differences",
    "jobs",
    "gpus",
    "gpus_allocated",
    "gpus_busy",
    "gpus_held",
    "machine_gpus",
    "gpus_offered",
    "gpus_seen",
    "keys",
    "objects",
    "requests",
)


@pytest.mark.parametrize("metric", m.METRICS, ids=lambda metric: metric.name)
def test_names_carry_their_base_unit(metric):
    assert re.fullmatch(r"hansa(_[a-z]+)+", metric.name)
    assert (metric.type == "counter") == metric.name.endswith("_total")
    state = metric.help.startswith("1 ")
    assert metric.name.endswith(UNITS + COUNTED) or state
    assert metric.help.endswith(".")


def test_names_are_unique():
    names = [metric.name for metric in m.METRICS]
    assert len(names) == len(set(names))


def test_only_the_gpu_info_metric_names_a_job():
    assert [x.name for x in m.METRICS if {"aijob", "uid"} & set(x.labels)] == ["hansa_gpu_job_info"]


SCRAPED = {"job", "instance", "namespace", "pod", "container", "endpoint", "service"}
"""Labels that Prometheus' operator gives to every target: ours of that name would be renamed."""


@pytest.mark.parametrize("metric", m.METRICS, ids=lambda metric: metric.name)
def test_no_label_is_one_that_the_scraper_sets(metric):
    assert not SCRAPED & {*metric.labels}


class View:
    def __init__(self, reading):
        self.value = reading

    def reading(self):
        return self.value


def samples(page):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_the_hub_page_shows_what_the_caches_hold_and_forgets_with_them():
    view = View(
        HubReading(
            jobs={("league", "WaitingForCapacity"): 3},
            gpus=(GpuCount("tartu-uni", "EE", "l40s", 8, 5), GpuCount("riga", "LV", "t4", 4, 0, 1)),
            node_lease_age_s={"tartu": 2.5},
            watch_event_age_s={"aijobs": 1.0},
            objects={("SovereignNode", "Ready", "True", "Ready"): 2},
            leader=True,
            leases={"hansa-hub": True, "hansa-hub.north": False},
            plan_gap=0.01,
            events={"written": 4},
        )
    )
    instruments = Instruments("hub")
    instruments.attach(collectors.hub_collector(view))
    instruments.observe(m.QUEUE_WAIT, 0.3, pool="league")
    instruments.add(m.GRANTS_WRITTEN, node="tartu")
    page = samples(generate_latest(instruments.registry))
    assert page["hansa_jobs", ("pool", "league"), ("reason", "WaitingForCapacity")] == 3
    assert page["hansa_job_queue_wait_seconds_count", ("pool", "league")] == 1
    assert page["hansa_grants_written_total", ("node", "tartu")] == 1
    assert page["hansa_events_total", ("outcome", "written")] == 4
    busy = [key for key in page if key[0] == "hansa_gpus_busy"]
    assert [dict(key[1:])["institution"] for key in busy] == ["riga"]
    assert page["hansa_leader", ("lease", "hansa-hub")] == 1
    assert page["hansa_leader", ("lease", "hansa-hub.north")] == 0
    view.value = HubReading(leases={"hansa-hub": False})
    later = samples(generate_latest(instruments.registry))
    assert not [key for key in later if key[0] in {"hansa_jobs", "hansa_node_lease_age_seconds"}]
    assert later["hansa_leader", ("lease", "hansa-hub")] == 0


def test_the_member_page_leaves_out_what_is_not_known():
    instruments = Instruments("member")
    view = View(MemberReading(switch="Paused", jobs={"Running": 2}))
    instruments.attach(collectors.member_collector(view))
    page = samples(generate_latest(instruments.registry))
    assert page["hansa_member_switch", ("state", "Paused")] == 1
    assert page["hansa_member_switch", ("state", "Open")] == 0
    assert page["hansa_member_jobs", ("state", "Running")] == 2
    assert ("hansa_member_clock_skew_seconds",) not in page


def test_a_member_that_invents_reasons_cannot_fill_prometheus():
    lies = {("WorkGrant", "Accepted", "False", f"Lie{n}"): 1 for n in range(1000)}
    instruments = Instruments("hub")
    instruments.attach(collectors.hub_collector(View(HubReading(objects=lies))))
    for n in range(1000):
        instruments.add(m.REFUSALS, node="riga", reason=f"Lie{n}")
    page = samples(generate_latest(instruments.registry))
    for name in ("hansa_objects", "hansa_grant_refusals_total"):
        rows = {key: value for key, value in page.items() if key[0] == name}
        assert len(rows) == MAX_REASONS + 1
        assert sum(rows.values()) == 1000


@pytest.mark.parametrize("process", FULL)
def test_every_row_of_the_table_is_exported_with_its_labels(process):
    found = {sample.metric: sample.labels for sample in FULL[process]()}
    promised = {x for x in m.exported_by(process) if x.source == "scrape"} - {m.BUILD_INFO}
    assert set(found) == promised
    assert all(len(labels) == len(metric.labels) for metric, labels in found.items())


@pytest.mark.parametrize("process", ["hub", "member"])
def test_every_instrument_can_be_fed(process):
    instruments = Instruments(process)
    for metric in (x for x in m.exported_by(process) if x.source == "transition"):
        feed = instruments.observe if metric.type == "histogram" else instruments.add
        feed(metric, 1.0, **dict.fromkeys(metric.labels, "x"))
        assert metric.name.encode() in generate_latest(instruments.registry)


async def test_a_page_is_read_on_the_event_loop_and_worded_beside_it(monkeypatch):
    """What the caches say belongs to the loop; to word four thousand series holds it up."""
    at = dict[str, int]()

    def samples_read():
        at["read"] = threading.get_ident()
        return [collectors.Sample(m.QUEUE_KEYS, 3)]

    def worded(registry):
        at["worded"] = threading.get_ident()
        return generate_latest(registry)

    monkeypatch.setattr("hansa.observability.instruments.generate_latest", worded)
    instruments = Instruments("hub")
    instruments.attach(collectors.SampleCollector(samples_read))
    assert b"hansa_queue_keys 3.0" in await instruments.scraped()
    assert at["read"] == threading.get_ident() != at["worded"]


async def test_the_server_answers_probes_and_scrapes_at_the_port_it_logs(caplog):
    caplog.set_level("INFO")
    trouble = {"healthz": "", "readyz": "caches are not filled"}
    instruments = Instruments("hub")
    server = probes(
        page=instruments.scraped,
        healthy=lambda: trouble["healthz"],
        ready=lambda: trouble["readyz"],
        port=0,
        host="127.0.0.1",
    )
    async with server as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path, status in {"/healthz": 200, "/readyz": 503, "/metrics": 200, "/": 404}.items():
            async with http.get(path) as answer:
                assert answer.status == status
        assert [record.port for record in caplog.records if record.msg == "serving"] == [port]
        trouble["readyz"] = ""
        async with http.get("/readyz") as answer:
            assert await answer.text() == "ok"
