"""``hansa member`` as a child process."""

from __future__ import annotations

from pathlib import Path

from tests.apiserver.member.kit import Member
from tests.apiserver.served import Served


class AgentProcess(Served):
    """``hansa member`` as a child process."""

    def __init__(self, member: Member, name: str, folder: Path, lease_s: int, **more: str) -> None:
        """``more``: further environment variables."""
        super().__init__()
        self.name, settings = name, member.settings
        environment = {
            "HANSA_MEMBER_NODE": settings.node,
            "HANSA_MEMBER_IDENTITY__SECRET": settings.identity.secret,
            "HANSA_MEMBER_IDENTITY__KUBECONFIG": str(member.identity),
            "HANSA_MEMBER_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_MEMBER_SERVING__BIND": "127.0.0.1",
            "HANSA_MEMBER_TIMING__RETRY_SECONDS": "0.2",
            "HANSA_MEMBER_TIMING__TICK_SECONDS": "0.2",
            "HANSA_MEMBER_LEADERSHIP__IDENTITY": name,
            "HANSA_MEMBER_LEADERSHIP__DURATION_SECONDS": str(lease_s),
            "HANSA_MEMBER_LEADERSHIP__RETRY_SECONDS": "0.5",
        }
        self.log = folder / f"{name}.log"
        self.start("member", environment | more, self.log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def works(self) -> bool:
        return self.ready and "hansa_queue_keys" in self.page("/metrics")

    @property
    def ready(self) -> bool:
        return self.page("/readyz") == "ok"

    def stop(self) -> int:
        return self.end()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
