"""A PostgreSQL of our own for as long as a block lasts: Debian's, in a folder, without a port.

It listens on a socket in its folder only, and runs as Debian's user for it: as root it refuses to.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages
from e2e.testbed.host.progress import Progress

ACCOUNT = "postgres"
_START_S = 60.0
_OPTIONS = ("listen_addresses=", "shared_buffers=64MB", "max_connections=40")


@contextmanager
def postgres(progress: Progress, *, options: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the URL of an empty database; ``options`` as of ``postgres -c``.

    Raises ``PackagesMissingError`` where it is not there and cannot be installed.
    """
    ensure_packages(progress, ["postgresql"])
    with tempfile.TemporaryDirectory(prefix="hansa-pg-") as folder:
        socket = Path(folder)
        if os.geteuid() == 0:
            shutil.chown(socket, ACCOUNT)
        data, user = socket / "data", _user()
        _run("initdb", "--no-sync", "--auth=trust", f"--username={user}", str(data))
        settings = [f"unix_socket_directories={socket}", *_OPTIONS, *options]
        arguments = [part for setting in settings for part in ("-c", setting)]
        command = [str(_program("postgres")), "-D", str(data), *arguments]
        with (
            (socket / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, **_as_account()) as server,
        ):
            try:
                _wait(server, socket)
                yield f"postgresql://{user}@/postgres?host={socket}"
            finally:
                server.send_signal(signal.SIGINT)  # fast: it does not wait for who is connected


def _wait(server: subprocess.Popen[bytes], socket: Path) -> None:
    def answers() -> bool:
        if server.poll() is not None:
            raise PackagesMissingError((socket / "log").read_text(errors="replace")[-1000:])
        ready = [str(_program("pg_isready")), "-h", str(socket)]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    wait_until(answers, what="PostgreSQL", timeout_s=_START_S)


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(_program(name)), *arguments],
        capture_output=True,
        text=True,
        check=False,
        **_as_account(),
    )
    if done.returncode:
        raise PackagesMissingError(f"{name}: {done.stderr.strip()[-1000:]}")


def _as_account() -> dict[str, Any]:
    return {"user": ACCOUNT, "group": ACCOUNT, "cwd": "/"} if os.geteuid() == 0 else {"cwd": "/"}


def _user() -> str:
    return ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _program(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise PackagesMissingError(f"{name} of PostgreSQL is not installed")
    return found[-1]
