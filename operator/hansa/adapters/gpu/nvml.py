"""NVIDIA GPUs through NVML, as the driver tells it.

What a card does not tell is None, never zero: under MIG the driver knows no utilisation, and a
consumer card counts no ECC errors. A card that fell off the bus is missing, also where the library
still remembers its name. No driver, no card and no permission end in ``Terminal`` with
that reason; the next reading tries from the beginning, since drivers get installed and upgraded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pynvml

from hansa.adapters.gpu.xid import XidEvents
from hansa.errors import Terminal
from hansa.ports import GpuReading

_REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "NoDriver",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "NoDriver",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "DriverMismatch",
    pynvml.NVML_ERROR_NO_PERMISSION: "NoPermission",
    pynvml.NVML_ERROR_OPERATING_SYSTEM: "NoPermission",  # devices closed to this pod's cgroup
}
_GONE = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
"""Of a card that nothing can use until it is reset, or the machine started again."""
_ILL = frozenset(
    {
        pynvml.NVML_ERROR_UNKNOWN,
        pynvml.NVML_ERROR_TIMEOUT,
        pynvml.NVML_ERROR_IRQ_ISSUE,
        pynvml.NVML_ERROR_INSUFFICIENT_POWER,
        pynvml.NVML_ERROR_CORRUPTED_INFOROM,
    }
)
"""Of a card that is there and not well; all others say that it does not know, or not tell this pod."""
_PASSED_ON = _GONE | {pynvml.NVML_ERROR_UNINITIALIZED}


class NvmlProbe:
    """Reads every GPU the driver shows. Blocking; one thread at a time."""

    def __init__(self, library: ModuleType | Any = pynvml) -> None:
        """``library``: the NVML binding; nothing is loaded before the first reading."""
        self._nvml = library
        self._open = False
        self._xids = XidEvents(library)

    def read(self) -> Sequence[GpuReading]:
        """Return one reading a GPU; a card that fell off the bus is missing from it."""
        try:
            self._start()
            self._xids.drain()
            readings = [
                reading
                for index in range(self._nvml.nvmlDeviceGetCount())
                if (reading := self._read_there(index)) is not None
            ]
        except self._nvml.NVMLError as error:
            self._stop()
            reason = _REASONS.get(error.value, "DriverError")
            raise Terminal(f"NVML: {error}", reason=reason) from error
        if not readings:
            self._stop()
            raise Terminal("the driver shows no GPU", reason="NoGpu")
        return readings

    def _start(self) -> None:
        if not self._open:
            self._nvml.nvmlInit()
            self._open = True
            self._xids.listen()

    def _stop(self) -> None:
        if self._open:
            self._open = False
            self._xids.close()
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    def _read_there(self, index: int) -> GpuReading | None:
        """Return what a card tells; None: it is gone."""
        try:
            return self._read_one(index)
        except self._nvml.NVMLError as error:
            if error.value in _GONE:
                return None
            raise

    def _read_one(self, index: int) -> GpuReading | None:
        n = self._nvml
        handle = self._ask(n.nvmlDeviceGetHandleByIndex, index)
        uuid = None if handle is None else self._ask(n.nvmlDeviceGetUUID, handle)
        if uuid is None:
            return None
        memory = self._first(
            (n.nvmlDeviceGetMemoryInfo, handle, n.nvmlMemory_v2),
            # Of older drivers: what they keep for themselves counts as used, 480 MiB of an H100.
            (n.nvmlDeviceGetMemoryInfo, handle),
        )
        celsius, is_ill = self._temperature(handle)
        return GpuReading(
            uuid=str(uuid),
            index=index,
            model=str(self._ask(n.nvmlDeviceGetName, handle) or "unknown"),
            busy_percent=self._busy(handle),
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            power_milliwatts=self._ask(n.nvmlDeviceGetPowerUsage, handle),
            energy_millijoules=self._ask(n.nvmlDeviceGetTotalEnergyConsumption, handle),
            temperature_celsius=celsius,
            ecc_corrected=self._ecc(handle, n.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ecc_uncorrected=self._ecc(handle, n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
            process_ids=self._processes(handle),
            slowdown_celsius=self._slowdown(handle),
            xids=self._xids.of(str(uuid)),
            is_ill=is_ill,
        )

    def _busy(self, handle: object) -> int | None:
        mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
        if mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE:
            return None
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, handle)
        return None if rates is None else int(rates.gpu)

    def _temperature(self, handle: object) -> tuple[int | None, bool]:
        """Return the temperature, and whether the card has an error of its own in its place."""
        n, is_ill = self._nvml, False
        # Drivers before R565 know only the second call, which CUDA 14 removes.
        for call in (n.nvmlDeviceGetTemperatureV, n.nvmlDeviceGetTemperature):
            try:
                return int(call(handle, n.NVML_TEMPERATURE_GPU)), False
            except n.NVMLError as error:
                if error.value in _PASSED_ON:
                    raise
                is_ill = is_ill or error.value in _ILL
        return None, is_ill

    def _slowdown(self, handle: object) -> int | None:
        kind = self._nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        celsius = self._ask(self._nvml.nvmlDeviceGetTemperatureThreshold, handle, kind)
        return int(celsius) if celsius else None

    def _ecc(self, handle: object, kind: int) -> int | None:
        since_load = self._nvml.NVML_VOLATILE_ECC
        count = self._ask(self._nvml.nvmlDeviceGetTotalEccErrors, handle, kind, since_load)
        return None if count is None else int(count)

    def _processes(self, handle: object) -> tuple[int, ...]:
        found = self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses, handle)
        return tuple(sorted(int(process.pid) for process in found or ()))

    def _first(self, *questions: tuple[Any, ...]) -> Any:
        """Ask (call, arguments …) one after the other, the newest call first, until one is answered."""
        answers = (self._ask(*question) for question in questions)
        return next((answer for answer in answers if answer is not None), None)

    def _ask(self, call: Callable[..., Any], *arguments: object) -> Any:
        try:
            return call(*arguments)
        except self._nvml.NVMLError as error:
            if error.value in _PASSED_ON:
                raise
            return None
        except UnicodeDecodeError:  # of a text that the binding reads from a driver gone wrong
            return None
