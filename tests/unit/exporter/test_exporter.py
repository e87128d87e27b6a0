"""The exporter keeps serving, whatever driver, API server and clock do."""

import asyncio
import os
import signal
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from e2e.testbed.host.clock import PATIENCE_S
from e2e.testbed.host.ports import free_ports
from hansa.errors import Retryable, Terminal
from hansa.exporter import app
from hansa.exporter.attribution import NOBODY, UNKNOWN
from hansa.exporter.check import complaints
from hansa.exporter.exporter import Exporter, read_cgroup
from hansa.exporter.samples import Round, round_samples, seen_samples
from hansa.exporter.settings import ExporterSettings
from hansa.ports import GpuReading, Page
from hansa.process.app import until_signalled
from hansa.reconcile.member.inventory.accelerators import gpu_class

GPU = GpuReading("GPU-1", 0, "NVIDIA H200", 40, 1, 2, 250_000, 1_000_000, 50, 7, 2)
UNDER_MIG = GpuReading("GPU-2", 1, "NVIDIA A100", None, 1, 2, None, None, None, None, None)


@dataclass
class Clock:
    seconds: float = 0.0

    def now(self):
        return self.seconds

    def monotonic(self):
        return self.seconds


@dataclass
class Probe:
    answer: object = (GPU,)

    def read(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Pods:
    answer: object = field(default_factory=lambda: Page([], "1"))
    asked: list = field(default_factory=list)

    async def list(self, path, *, fields):
        self.asked.append((path, fields))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def values(exporter):
    return {(s.metric.name, *s.labels): s.value for s in round_samples(exporter.round, gpu_class)}


async def test_no_driver_is_a_metric_and_a_driver_later_is_seen():
    probe = Probe(Terminal("no library", reason="NoDriver"))
    exporter = Exporter(probe, Clock())
    assert values(exporter) == {("hansa_gpu_probe_up", "Starting"): 0}
    await exporter.read()
    assert values(exporter) == {("hansa_gpu_probe_up", "NoDriver"): 0}
    probe.answer = (GPU,)
    await exporter.read()
    assert values(exporter)["hansa_gpu_probe_up", ""] == 1


async def test_units_are_base_units():
    exporter = Exporter(Probe(), Clock())
    await exporter.read()
    page = values(exporter)
    assert page["hansa_gpu_busy_ratio", "GPU-1"] == 0.4
    assert page["hansa_gpu_power_watts", "GPU-1"] == 250
    assert page["hansa_gpu_energy_joules_total", "GPU-1"] == 1000
    assert page["hansa_gpu_info", "GPU-1", "0", "nvidia-h200"] == 1
    assert page["hansa_gpu_ecc_errors_total", "GPU-1", "corrected"] == 7
    assert page["hansa_gpu_ecc_errors_total", "GPU-1", "uncorrected"] == 2


async def test_what_is_not_told_has_no_series():
    exporter = Exporter(Probe((UNDER_MIG,)), Clock())
    await exporter.read()
    assert {name for name, *_ in values(exporter)} == {
        "hansa_gpu_probe_up",
        "hansa_gpu_info",
        "hansa_gpu_job_info",
        "hansa_gpu_memory_used_bytes",
        "hansa_gpu_memory_size_bytes",
    }


async def test_a_reading_that_hangs_goes_stale():
    clock = Clock()
    exporter = Exporter(Probe(), clock, interval_s=5)
    await exporter.read()
    clock.seconds = 30
    assert not exporter.round.trouble
    clock.seconds = 31
    assert values(exporter) == {("hansa_gpu_probe_up", "Stale"): 0}


async def test_pods_are_asked_for_by_machine_and_lost_with_the_api_server():
    pods = Pods()
    exporter = Exporter(Probe(), Clock(), cgroup_of=lambda _: "")
    await exporter.look_up_pods(pods, "machine-1")
    await exporter.read()
    assert pods.asked == [("/api/v1/pods", "spec.nodeName=machine-1")]
    assert exporter.held == {}
    assert exporter.round.served == {"GPU-1": NOBODY}
    pods.answer = Retryable("gone")
    await exporter.look_up_pods(pods, "machine-1")
    await exporter.read()
    assert exporter.round.served == {"GPU-1": UNKNOWN}
    assert exporter.held is None


def test_a_process_of_ours_has_a_cgroup_and_one_that_is_gone_has_none():
    assert read_cgroup(os.getpid())
    assert read_cgroup(2**22 + 1) == ""


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this machine has a driver")  # noqa: PTH110  # in a decorator
async def test_the_process_serves_without_a_driver_until_told_to_stop():
    (port,) = free_ports(1)
    settings = ExporterSettings(port=port, bind="127.0.0.1", interval_seconds=0.01)
    process = asyncio.create_task(until_signalled(lambda: app.serve(settings)))
    url = f"http://127.0.0.1:{port}/metrics"
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as http:
        text = ""
        while 'hansa_gpu_probe_up{reason="NoDriver"} 0.0' not in text:
            await asyncio.sleep(0.01)
            try:
                async with http.get(url) as answer:
                    text = await answer.text()
            except aiohttp.ClientConnectionError:
                continue
        assert "hansa_build_info" in text
        os.kill(os.getpid(), signal.SIGTERM)
        await process


def test_a_machine_without_a_way_to_the_api_is_told_so(monkeypatch):
    monkeypatch.setenv("HANSA_EXPORTER_MACHINE", "machine-1")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Terminal, match="not in a pod"):
        asyncio.run(app.serve(ExporterSettings()))


def later(**changed):
    fields = {name: getattr(GPU, name) for name in GPU.__slots__}
    return GpuReading(**(fields | {"energy_millijoules": 1_500_000} | changed))


JUDGED = {
    "plausible": (later(), []),
    "energy stands still": (later(energy_millijoules=1_000_000), ["did not grow", "does not go"]),
    "energy in the wrong unit": (later(energy_millijoules=1_000_500), ["does not go with"]),
    "busier than busy": (later(busy_percent=140), ["busy 140"]),
    "on fire": (later(temperature_celsius=400), ["400 degrees"]),
    "more memory than there is": (later(memory_used_bytes=3), ["3 bytes used of 2"]),
    "another card": (later(uuid="GPU-9"), ["became GPU-9"]),
}


@pytest.mark.parametrize(("after", "expected"), JUDGED.values(), ids=JUDGED.keys())
def test_the_check_script_sees_what_cannot_be(after, expected):
    found = list(complaints(GPU, after, 2.0))
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))


async def test_a_card_that_answers_with_errors_is_told_beside_the_others():
    exporter = Exporter(Probe((GPU, replace(UNDER_MIG, is_ill=True))), Clock())
    await exporter.read()
    up = {row: value for row, value in values(exporter).items() if row[0] == "hansa_gpu_probe_up"}
    assert up == {("hansa_gpu_probe_up", ""): 1, ("hansa_gpu_probe_up", "CardError"): 0}


LAST = {
    "none": ({}, set()),
    "a program's": ({31: 2}, {("31", "application")}),
    "the card's, and what ends programs after it": (
        {48: 1, 45: 3, 43: 1},
        {("48", "hardware"), ("43", "application")},
    ),
    "the card's, last": ({13: 1, 63: 1, 64: 1}, {("64", "hardware"), ("13", "application")}),
    "one that nobody knows yet": ({999: 1}, {("999", "hardware")}),
}


@pytest.mark.parametrize(("xids", "last"), LAST.values(), ids=LAST)
def test_the_last_error_of_the_card_stays_named(xids, last):
    """A card's own error is followed by those of the programs that it ends."""
    page = round_samples(Round((replace(GPU, xids=xids),)), gpu_class)
    told = {s.labels[1:] for s in page if s.metric.name == "hansa_gpu_last_xid_info"}
    assert told == last


async def test_errors_are_told_by_whose_they_are():
    card = replace(GPU, slowdown_celsius=95, xids={79: 1, 13: 4})
    page = {(s.metric.name, *s.labels): s.value for s in round_samples(Round((card,)), gpu_class)}
    assert page["hansa_gpu_xid_errors_total", "GPU-1", "hardware"] == 1
    assert page["hansa_gpu_xid_errors_total", "GPU-1", "application"] == 4
    assert page["hansa_gpu_last_xid_info", "GPU-1", "79", "hardware"] == 1
    assert page["hansa_gpu_slowdown_celsius", "GPU-1"] == 95


SEEN = {
    "two cards": ("m", Round((GPU, GPU)), [2]),
    "no driver": ("m", Round(trouble="NoDriver"), [0]),
    "no card": ("m", Round(trouble="NoGpu"), [0]),
    "half an upgrade": ("m", Round(trouble="DriverMismatch"), []),
    "devices that this pod may not open": ("m", Round(trouble="NoPermission"), []),
    "a driver that went wrong": ("m", Round(trouble="DriverError"), []),
    "not read yet": ("m", Round(trouble="Starting"), []),
    "hangs": ("m", Round(trouble="Stale"), []),
    "of no machine": ("", Round((GPU,)), []),
}


@pytest.mark.parametrize(("machine", "last", "values"), SEEN.values(), ids=SEEN)
def test_cards_that_are_seen_are_counted_while_the_driver_answers(machine, last, values):
    assert [sample.value for sample in seen_samples(machine, last)] == values
