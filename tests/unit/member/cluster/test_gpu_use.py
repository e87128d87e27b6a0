"""Busy GPUs as the exporters tell them: from the exporter's own page, over real HTTP."""

from dataclasses import dataclass, field

import aiohttp.web
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from hansa.exporter.attribution import NOBODY, Served
from hansa.exporter.samples import Round, round_samples
from hansa.member.cluster.gpu_use import (
    count_busy,
    exporter_pages,
    metric_pages,
    read_held,
    read_served,
)
from hansa.observability.collectors import SampleCollector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.ports import GpuReading, Page
from hansa.reconcile.member.inventory.accelerators import gpu_class

STUDY = Served("study", "tartu")


def gpu(uuid, busy, model="NVIDIA T4"):
    return GpuReading(uuid, 0, model, busy, *[None] * 7)


def page(readings, served=None, trouble=""):
    last = Round(readings, served or {}, trouble)
    instruments = Instruments("exporter")
    instruments.attach(SampleCollector(lambda: round_samples(last, gpu_class)))
    return generate_latest(instruments.registry).decode()


COUNTS = {
    "busy and idle": ([page([gpu("a", 80), gpu("b", 0)], {"a": STUDY, "b": STUDY})], 1),
    "not the league's": ([page([gpu("a", 80)], {"a": NOBODY})], 0),
    "may be the league's": ([page([gpu("a", 80)])], 1),
    "two machines": ([page([gpu("a", 80)]), page([gpu("b", 5)])], 2),
    "a card that does not tell": ([page([gpu("a", None)])], None),
    "no driver": ([page([], trouble="NoDriver")], None),
    "no page at all": ([], None),
    "a sample without its labels": (
        ["hansa_gpu_info 1\nhansa_gpu_busy_ratio 1\n", page([gpu("a", 80)])],
        1,
    ),
    "a sample with other labels": (
        ['hansa_gpu_job_info{aijob="none"} 1\n' + page([gpu("a", 80)])],
        1,
    ),
    "not a page": (["<html>{oops</html>", page([gpu("a", 80)])], 1),
}


@pytest.mark.parametrize(("pages", "busy"), COUNTS.values(), ids=COUNTS.keys())
def test_what_counts_as_busy(pages, busy):
    assert count_busy(pages).get("nvidia-t4") == busy


@given(
    st.text()
    | st.from_regex(r"(hansa_gpu_(info|busy_ratio|job_info)\{[a-z]*=?\"?[^}]*\}? ?[0-9eN+.-]*\n)*")
)
def test_no_page_raises(text):
    count_busy([text])
    read_served([text])


def drawing(uuid, millijoules):
    return GpuReading(uuid, 0, "NVIDIA T4", 50, None, None, None, millijoules, None, None, None)


def test_what_gpus_serve_and_draw_is_read_by_job():
    pages = [
        page([drawing("a", 1_500), drawing("b", None)], {"a": STUDY, "b": STUDY}),
        page([drawing("c", 7), drawing("d", 9)], {"c": NOBODY, "d": STUDY}),
        "<html>{oops</html>",
        'hansa_gpu_job_info{gpu="e",aijob="study",institution="tartu"} 1',
    ]
    assert read_served(pages) == {"study": {"a": 1_500, "b": None, "d": 9, "e": None}}


def exporter_pod(address, port, name="http"):
    ports = [{"name": name, "containerPort": port}]
    return {"status": {"podIP": address}, "spec": {"containers": [{"ports": ports}]}}


ADDRESSES = {
    "v4": (exporter_pod("10.0.0.7", 9400), ["http://10.0.0.7:9400/metrics"]),
    "v6": (exporter_pod("fd00::7", 9400), ["http://[fd00::7]:9400/metrics"]),
    "no address yet": (exporter_pod("", 9400), []),
    "another port": (exporter_pod("10.0.0.7", 9400, "admin"), []),
}


@pytest.mark.parametrize(("pod", "urls"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_where_the_page_is(pod, urls):
    assert list(metric_pages(pod)) == urls


@dataclass
class Pods:
    items: list
    asked: list = field(default_factory=list)

    async def list(self, path, *, labels, fields):
        self.asked.append((path, labels, fields))
        return Page(self.items, "1")


async def test_exporters_are_asked_and_a_missing_one_is_left_out():
    text = page([gpu("a", 80)]).encode()

    async def told():
        return text

    server = probes(page=told, healthy=str, ready=str, port=0, host="127.0.0.1")
    async with server as port:
        pods = Pods([exporter_pod("127.0.0.1", port), exporter_pod("127.0.0.1", 1)])
        assert count_busy(await exporter_pages(pods, "hansa-system")) == {"nvidia-t4": 1}
    assert pods.asked[0][:2] == (
        "/api/v1/namespaces/hansa-system/pods",
        "app.kubernetes.io/name=hansa-exporter",
    )


async def test_an_exporter_that_answers_an_error_is_left_out():
    async def broken(_):
        return aiohttp.web.Response(status=500, text="no")

    app = aiohttp.web.Application()
    app.router.add_get("/metrics", broken)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    pods = Pods([exporter_pod("127.0.0.1", runner.addresses[0][1])])
    assert await exporter_pages(pods, "x") == []
    await runner.cleanup()


def test_what_others_hold_is_read_by_machine():
    page = """hansa_machine_requests{machine="m1",resource="cpu"} 1.25
hansa_machine_requests{machine="m1",resource="nvidia.com/gpu"} 8.0
hansa_machine_requests{machine="m2",resource="pods"} 0.0
hansa_machine_requests{machine="m3",resource="cpu"} NaN
hansa_machine_requests{resource="cpu"} 7.0
"""
    assert read_held([page, "no page {"]) == {
        "m1": {"cpu": 1250, "nvidia.com/gpu": 8000},
        "m2": {"pods": 0},
        "m3": {},
    }
