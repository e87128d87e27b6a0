"""The wires between sites: one bridge on the host, one cable to each machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.testbed.host.packages import system_program


class NetworkError(RuntimeError):
    """`ip` or `nft` refused."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Addresses and names that follow from a testbed's number (1 to 99)."""

    number: int

    @property
    def bridge(self) -> str:
        """Name of the host's bridge."""
        return f"hansa{self.number}"

    @property
    def gateway(self) -> str:
        """The host's own address on it."""
        return f"172.30.{self.number}.1"

    @property
    def pods(self) -> str:
        """All pod addresses of the testbed."""
        return f"10.{100 + self.number}.0.0/16"

    def address(self, machine: int) -> str:
        """Address of machine ``machine`` (0, 1, …)."""
        return f"172.30.{self.number}.{10 + machine}"

    def pod_subnet(self, machine: int) -> str:
        """Pod addresses of machine ``machine``."""
        return f"10.{100 + self.number}.{machine}.0/24"

    def veth(self, machine: int) -> str:
        """Name of the host's end of the machine's cable (at most 15 characters)."""
        return f"hansa{self.number}m{machine}"


def make_bridge(plan: Plan) -> None:
    """Create the bridge; the host is reachable on it and routes nothing between sites."""
    ip("link", "add", plan.bridge, "type", "bridge")
    ip("addr", "add", f"{plan.gateway}/24", "dev", plan.bridge)
    ip("link", "set", plan.bridge, "up")


def plug(plan: Plan, machine: int, init_pid: int, enter: Sequence[str]) -> None:
    """Connect a machine to the bridge, and let the host reach its pods."""
    veth, address = plan.veth(machine), plan.address(machine)
    ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(init_pid))
    ip("link", "set", veth, "master", plan.bridge, "up")
    ip("addr", "add", f"{address}/24", "dev", "eth0", enter=enter)
    for device in ("lo", "eth0"):
        ip("link", "set", device, "up", enter=enter)
    ip("route", "add", "default", "via", plan.gateway, enter=enter)
    _run([*enter, system_program("sysctl"), "-qw", "net.ipv4.ip_forward=1"])
    ip("route", "add", plan.pod_subnet(machine), "via", address)


def show_pods_of(plan: Plan, other: int, enter: Sequence[str]) -> None:
    """Let a machine reach the pods of another one of its site: they are one network, as CNI has it."""
    ip("route", "add", plan.pod_subnet(other), "via", plan.address(other), enter=enter)


def fence(plan: Plan, own: Sequence[str], enter: Sequence[str]) -> None:
    """Let a member's machine be dialled by its own site and the host only: the rest is outbound."""
    allowed = ", ".join([*own, plan.gateway])
    rules = f"""
    table inet hansa_fence {{
      chain input {{
        type filter hook input priority -10; policy accept;
        ip saddr 172.30.{plan.number}.0/24 ip saddr != {{ {allowed} }} ct state new drop
      }}
      chain forward {{
        type filter hook forward priority -10; policy accept;
        ip saddr 172.30.{plan.number}.0/24 ip saddr != {{ {allowed} }} ct state new drop
      }}
    }}
    """
    _run([*enter, system_program("nft"), "-f", "-"], stdin=rules)


def set_cable(veth: str, *, up: bool) -> None:
    """Pull or push a machine's cable: a partition, as real as it gets."""
    ip("link", "set", veth, "up" if up else "down")


def unplug(name: str) -> None:
    """Delete a bridge or a cable if it is there; a cable may go by itself, with its machine."""
    if not exists(name):
        return
    try:
        ip("link", "delete", name)
    except NetworkError:
        if exists(name):
            raise


def exists(interface: str) -> bool:
    """Return whether the host has an interface of that name."""
    return Path("/sys/class/net", interface).exists()


def ip(*args: str, enter: Sequence[str] = ()) -> None:
    """Run `ip`, in a machine's namespaces when given its prefix."""
    _run([*enter, system_program("ip"), *args])


def _run(argv: Sequence[str], stdin: str = "") -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip()}")
