"""What the probe makes of a driver's answers; the driver is scripted, the bindings' errors are real."""

from types import SimpleNamespace

import pynvml
import pytest

from hansa.adapters.gpu.nvml import NvmlProbe
from hansa.errors import Terminal


def refused(code):
    return pynvml.NVMLError(code)


NOT_SUPPORTED = refused(pynvml.NVML_ERROR_NOT_SUPPORTED)
LOST = refused(pynvml.NVML_ERROR_GPU_IS_LOST)
CARD = {
    "nvmlDeviceGetUUID": "GPU-1",
    "nvmlDeviceGetName": "NVIDIA L40S",
    "nvmlDeviceGetMigMode": NOT_SUPPORTED,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=10),
    "nvmlDeviceGetMemoryInfo": {
        pynvml.nvmlMemory_v2: SimpleNamespace(used=10, total=48, free=36, reserved=2),
    },
    "nvmlDeviceGetPowerUsage": 251_000,
    "nvmlDeviceGetTotalEnergyConsumption": 9_000_000,
    "nvmlDeviceGetTemperatureV": 61,
    "nvmlDeviceGetTotalEccErrors": {
        pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED: 3,
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED: 1,
    },
    "nvmlDeviceGetTemperatureThreshold": {pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN: 95},
    "nvmlDeviceGetSupportedEventTypes": pynvml.nvmlEventTypeXidCriticalError,
    "nvmlDeviceRegisterEvents": None,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=9), SimpleNamespace(pid=4)],
}


def answer(value, *asked):
    """Raise or return; a dict answers by the first thing asked for, None when nothing more was."""
    if isinstance(value, dict) and (asked or None in value):
        value = value[asked[0] if asked else None]
    if isinstance(value, Exception):
        raise value
    return value


class Driver:
    """NVML's calls over scripted cards: a handle is the card, an exception is raised."""

    def __init__(self, *cards, init=None):
        self.cards = list(cards)
        self.init = init
        self.inits = 0
        self.events = []
        self.nvmlEventSetCreate = lambda: "events"
        self.nvmlEventSetFree = lambda _: None
        self.nvmlShutdown = lambda: None
        self.nvmlDeviceGetCount = lambda: len(self.cards)
        self.nvmlDeviceGetHandleByIndex = lambda index: answer(self.cards[index])

    def nvmlInit(self):  # noqa: N802  # NVML's name
        self.inits += 1
        return answer(self.init)

    def nvmlEventSetWait(self, events, timeout_ms):  # noqa: N802  # NVML's name
        assert (events, timeout_ms) == ("events", 0)
        if not self.events:
            raise refused(pynvml.NVML_ERROR_TIMEOUT)
        return self.events.pop(0)

    def __getattr__(self, name):
        if name.startswith("nvmlDevice"):
            return lambda card, *asked: answer(card[name], *asked)
        return getattr(pynvml, name)


def read(**changed):
    (reading,) = NvmlProbe(Driver(CARD | changed)).read()
    return reading


def test_a_whole_reading():
    gpu = read()
    assert (gpu.uuid, gpu.index, gpu.model) == ("GPU-1", 0, "NVIDIA L40S")
    assert (gpu.busy_percent, gpu.memory_used_bytes, gpu.memory_total_bytes) == (87, 10, 48)
    assert (gpu.power_milliwatts, gpu.energy_millijoules) == (251_000, 9_000_000)
    assert (gpu.temperature_celsius, gpu.ecc_corrected, gpu.ecc_uncorrected) == (61, 3, 1)
    assert gpu.process_ids == (4, 9)


UNTOLD = {
    "utilisation under MIG": ({"nvmlDeviceGetMigMode": (1, 1)}, "busy_percent", None),
    "MIG capable but off": ({"nvmlDeviceGetMigMode": (0, 0)}, "busy_percent", 87),
    "energy of an old card": (
        {"nvmlDeviceGetTotalEnergyConsumption": NOT_SUPPORTED},
        "energy_millijoules",
        None,
    ),
    "ECC of a consumer card": (
        {"nvmlDeviceGetTotalEccErrors": NOT_SUPPORTED},
        "ecc_corrected",
        None,
    ),
    "memory by the older call": (
        {
            "nvmlDeviceGetMemoryInfo": {
                pynvml.nvmlMemory_v2: refused(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
                None: SimpleNamespace(used=12, total=48, free=36),
            }
        },
        "memory_used_bytes",
        12,
    ),
    "temperature by the older call": (
        {
            "nvmlDeviceGetTemperatureV": refused(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
            "nvmlDeviceGetTemperature": 55,
        },
        "temperature_celsius",
        55,
    ),
    "a name that is no text": (
        {"nvmlDeviceGetName": UnicodeDecodeError("utf-8", b"\xf8", 0, 1, "invalid start byte")},
        "model",
        "unknown",
    ),
    "processes nobody may see": (
        {"nvmlDeviceGetComputeRunningProcesses": refused(pynvml.NVML_ERROR_NO_PERMISSION)},
        "process_ids",
        (),
    ),
}


@pytest.mark.parametrize(("changed", "field", "value"), UNTOLD.values(), ids=UNTOLD.keys())
def test_what_a_card_does_not_tell_is_none(changed, field, value):
    assert getattr(read(**changed), field) == value


NONE_AT_ALL = {
    "no library": (Driver(init=refused(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)), "NoDriver"),
    "module not loaded": (Driver(init=refused(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)), "NoDriver"),
    "half an upgrade": (
        Driver(init=refused(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)),
        "DriverMismatch",
    ),
    "not allowed": (Driver(init=refused(pynvml.NVML_ERROR_NO_PERMISSION)), "NoPermission"),
    "devices closed by the cgroup": (
        Driver(init=refused(pynvml.NVML_ERROR_OPERATING_SYSTEM)),
        "NoPermission",
    ),
    "driver gone wrong": (Driver(init=refused(pynvml.NVML_ERROR_UNKNOWN)), "DriverError"),
    "no card": (Driver(), "NoGpu"),
    "every card lost": (Driver(LOST), "NoGpu"),
}


@pytest.mark.parametrize(("driver", "reason"), NONE_AT_ALL.values(), ids=NONE_AT_ALL.keys())
def test_no_reading_has_a_reason(driver, reason):
    with pytest.raises(Terminal) as caught:
        NvmlProbe(driver).read()
    assert caught.value.reason == reason


def gone_after(code, *known):
    """Return a card that fell off after NVML had begun: what it remembers of it, it still tells."""
    asked = {*CARD, "nvmlDeviceGetTemperature"}
    return {name: CARD[name] if name in known else refused(code) for name in asked}


IDENTITY = ("nvmlDeviceGetUUID", "nvmlDeviceGetName")
OFF_THE_BUS = {
    "no handle": LOST,
    "no uuid": gone_after(pynvml.NVML_ERROR_GPU_IS_LOST),
    "uuid and name from memory": gone_after(pynvml.NVML_ERROR_GPU_IS_LOST, *IDENTITY),
    "memory of its size too": gone_after(
        pynvml.NVML_ERROR_GPU_IS_LOST, *IDENTITY, "nvmlDeviceGetMemoryInfo"
    ),
    "no use before a reset": gone_after(pynvml.NVML_ERROR_RESET_REQUIRED, *IDENTITY),
}


@pytest.mark.parametrize("card", OFF_THE_BUS.values(), ids=OFF_THE_BUS)
def test_a_lost_card_is_missing_and_does_not_hide_the_others(card):
    probe = NvmlProbe(Driver(card, CARD))
    assert [gpu.index for gpu in probe.read()] == [1]


ILL = {
    "unknown error (ERR! in nvidia-smi)": (pynvml.NVML_ERROR_UNKNOWN, True),
    "no answer in time": (pynvml.NVML_ERROR_TIMEOUT, True),
    "no interrupts": (pynvml.NVML_ERROR_IRQ_ISSUE, True),
    "no power cable": (pynvml.NVML_ERROR_INSUFFICIENT_POWER, True),
    "its memory of itself is spoilt": (pynvml.NVML_ERROR_CORRUPTED_INFOROM, True),
    "a part of a card, which knows no temperature": (pynvml.NVML_ERROR_NOT_SUPPORTED, False),
    "a driver without the calls": (pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, False),
    "a pod that may not ask": (pynvml.NVML_ERROR_NO_PERMISSION, False),
}


@pytest.mark.parametrize(("code", "is_ill"), ILL.values(), ids=ILL)
def test_a_card_that_merely_answers_badly_is_there_and_ill(code, is_ill):
    probe = NvmlProbe(Driver(gone_after(code, *IDENTITY), CARD))
    assert [(gpu.index, gpu.is_ill) for gpu in probe.read()] == [(0, is_ill), (1, False)]


def test_an_older_call_that_answers_makes_it_well():
    asked = {"nvmlDeviceGetTemperatureV": refused(pynvml.NVML_ERROR_UNKNOWN)}
    assert not read(**asked, nvmlDeviceGetTemperature=55).is_ill


def test_a_driver_installed_later_is_found():
    driver = Driver(CARD, init=refused(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    probe = NvmlProbe(driver)
    with pytest.raises(Terminal):
        probe.read()
    driver.init = None
    assert len(probe.read()) == 1
    assert len(probe.read()) == 1
    assert driver.inits == 2


def test_a_driver_reloaded_underneath_is_opened_again():
    driver = Driver(CARD)
    probe = NvmlProbe(driver)
    probe.read()
    driver.cards[0] = CARD | {"nvmlDeviceGetName": refused(pynvml.NVML_ERROR_UNINITIALIZED)}
    with pytest.raises(Terminal):
        probe.read()
    driver.cards[0] = CARD
    assert len(probe.read()) == 1
    assert driver.inits == 2


def xid(card, number, kind=pynvml.nvmlEventTypeXidCriticalError):
    return SimpleNamespace(device=card, eventType=kind, eventData=number)


def test_errors_are_counted_by_xid_and_the_last_comes_last():
    driver = Driver(CARD, CARD | {"nvmlDeviceGetUUID": "GPU-2"})
    probe = NvmlProbe(driver)
    assert [gpu.xids for gpu in probe.read()] == [{}, {}]
    driver.events = [xid(CARD, 79), xid(CARD, 31), xid(CARD, 79), xid(CARD, 1, kind=2)]
    first, second = probe.read()
    assert list(first.xids.items()) == [(31, 1), (79, 2)]
    assert second.xids == {}


def test_errors_are_remembered_over_a_driver_that_went_and_came():
    driver = Driver(CARD)
    probe = NvmlProbe(driver)
    probe.read()
    driver.events = [xid(CARD, 48)]
    probe.read()
    driver.cards = []
    with pytest.raises(Terminal):
        probe.read()
    driver.cards = [CARD]
    (gpu,) = probe.read()
    assert gpu.xids == {48: 1}
    assert driver.inits == 2


def test_an_error_of_a_card_that_is_gone_by_then_hides_nobody_elses():
    driver = Driver(CARD, CARD | {"nvmlDeviceGetUUID": "GPU-2"})
    probe = NvmlProbe(driver)
    probe.read()
    driver.cards[0] = gone_after(pynvml.NVML_ERROR_GPU_IS_LOST)
    driver.events = [xid(driver.cards[0], 79), xid(driver.cards[1], 45)]
    (gpu,) = probe.read()
    assert (gpu.uuid, gpu.xids) == ("GPU-2", {45: 1})


def test_a_link_that_tells_of_errors_without_end_holds_nobody_up():
    driver = Driver(CARD)
    driver.events = [xid(CARD, number) for number in range(1000)]
    (gpu,) = NvmlProbe(driver).read()
    assert len(gpu.xids) == 64
    assert len(driver.events) == 1000 - 256


UNTOLD = {
    "no event set": {"nvmlEventSetCreate": NOT_SUPPORTED},
    "no such event": {"nvmlDeviceGetSupportedEventTypes": 0},
    "not for this pod": {"nvmlDeviceRegisterEvents": refused(pynvml.NVML_ERROR_NO_PERMISSION)},
}


@pytest.mark.parametrize("changed", UNTOLD.values(), ids=UNTOLD)
def test_where_no_errors_are_told_none_is_claimed(changed):
    driver = Driver(CARD | changed)
    if "nvmlEventSetCreate" in changed:
        driver.nvmlEventSetCreate = lambda: answer(NOT_SUPPORTED)
    (gpu,) = NvmlProbe(driver).read()
    assert gpu.xids is None


SLOWDOWNS = {
    "told": ({}, 95),
    "not told": ({"nvmlDeviceGetTemperatureThreshold": NOT_SUPPORTED}, None),
}


@pytest.mark.parametrize(("changed", "celsius"), SLOWDOWNS.values(), ids=SLOWDOWNS)
def test_when_it_slows_itself_down(changed, celsius):
    assert read(**changed).slowdown_celsius == celsius
