"""A machine: network, mount and process namespaces of its own, held by one init process.

Everything a machine runs lives inside. When the init process ends, the kernel ends all others and
drops every mount and pod network with them, so no crash of ours can leave any behind.
`ip netns exec` is not used: it remounts /sys and hides the cgroups from the kubelet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from e2e.testbed.host import cgroups, processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.packages import SYSTEM_PATH
from e2e.testbed.host.processes import MARKER, Process
from e2e.testbed.machines import network
from e2e.testbed.machines.network import Plan
from e2e.testbed.machines.state import MachineRecord

_INIT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/containerd /run/lock /var/lib/cni /var/lib/kubelet
mount -t tmpfs tmpfs /var/lib/cni
mount -t tmpfs tmpfs /var/lib/kubelet
mount --bind "$1/log" /var/log
touch "$1/ready"
while :; do sleep 3600 & wait $!; done
"""
"""Bash as process 1 also reaps the orphans that containers leave.

The kubelet listens for device plugins at a fixed path, whatever its root folder: two that start at
once on one file system end each other.
"""


def _namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


@dataclass
class Machine:
    """One machine of a site."""

    record: MachineRecord
    index: int
    """Counts over the whole testbed."""
    plan: Plan
    folder: Path
    marker: str
    init: Process | None = None
    _init_pid: int = field(default=0)
    _daemons: list[Process] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The Kubernetes node's name."""
        return self.record.name

    @property
    def address(self) -> str:
        """The machine's address on the bridge."""
        return self.plan.address(self.index)

    @property
    def pod_subnet(self) -> str:
        """Addresses of the pods it runs."""
        return self.plan.pod_subnet(self.index)

    @property
    def enter(self) -> list[str]:
        """Command prefix that runs a program inside the machine."""
        target = ["-t", str(self._init_pid)]
        return ["nsenter", *target, "--net", "--mount", "--pid", "--"]

    @property
    def env(self) -> dict[str, str]:
        """Environment of the machine's programs."""
        return {MARKER: self.marker, "PATH": SYSTEM_PATH}

    def start(self, *, die_with_parent: bool) -> None:
        """Create the namespaces, the cgroup and the cable."""
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        cgroups.make(self.record.cgroup)
        kinds = ["--net", "--mount", "--propagation", "private", "--pid", "--mount-proc"]
        self.init = processes.start(
            "init",
            ["unshare", *kinds, "--fork", "--kill-child", "bash", "-c", _INIT, "init", self.folder],
            log=self.folder / "init.log",
            env=self.env,
            die_with_parent=die_with_parent,
        )
        wait_until(self._ready, what=f"machine {self.name}")
        network.plug(self.plan, self.index, self._init_pid, self.enter)

    def run(self, name: str, argv: list[str | Path]) -> Process:
        """Start a daemon inside the machine."""
        log = self.folder / f"{name}.log"
        daemon = processes.start(name, argv, log=log, env=self.env, enter=self.enter)
        self._daemons.append(daemon)
        return daemon

    def check_daemons(self) -> None:
        """Raise ``ProcessDiedError`` with the end of its log if a daemon has ended."""
        processes.check_alive(self._daemons, self.folder)

    def processes(self) -> set[int]:
        """Return all that it runs now, by the host's numbers: daemons, and containers in namespaces below."""
        own = _namespace(self._init_pid)
        parents, found = dict[int, int](), set[int]()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                number = int(folder.name)
                parents[number] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if _namespace(number) == own:
                    found.add(number)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has just ended, or is nobody's we may look at
        while more := {n for n, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def set_cable(self, *, up: bool) -> None:
        """Cut the machine off the other sites, or connect it again."""
        network.set_cable(self.record.veth, up=up)

    def _ready(self) -> bool:
        assert self.init is not None  # noqa: S101  # for the type checker
        processes.check_alive([self.init], self.folder)
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split()
        if not children or not (self.folder / "ready").exists():
            return False
        self._init_pid = int(children[0])
        return True
