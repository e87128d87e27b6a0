"""Whatever a request was doing when it was cancelled, a closed client leaves no connection behind."""

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import warnings

import pytest

from e2e.testbed.cluster.pki import Authority
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"meta'
"""The beginning of an answer whose rest never comes."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), name="test-ca")


@pytest.fixture(scope="module")
def tls(authority):
    ours = authority.issue_server("server", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours.cert, ours.key)
    return context


@contextlib.contextmanager
def silent_server(context):
    """A server that begins its answer and then neither reads nor says anything, like a stalled one."""
    kept = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                raw, _ = listener.accept()
                kept.append(raw)
                wrapped = context.wrap_socket(raw, server_side=True)
                kept.append(wrapped)
                wrapped.recv(1 << 16)
                wrapped.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for sock in kept:
        sock.close()


async def cancel_after(connection, *, turns, pause_s):
    async with KubeCluster(connection, clock=SystemClock()) as cluster:
        call = asyncio.create_task(cluster.get("/x"))
        for _ in range(turns):
            await asyncio.sleep(pause_s)
        assert not call.done()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("pause_s", [0, 0.01], ids=["while connecting", "while being answered"])
@pytest.mark.parametrize("turns", range(12))
def test_a_cancelled_request_leaves_no_connection(authority, tls, turns, pause_s):
    with silent_server(tls) as port:
        connection = Connection(server=f"https://127.0.0.1:{port}", ca_file=authority.identity.cert)
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always", ResourceWarning)
            asyncio.run(cancel_after(connection, turns=turns, pause_s=pause_s))
            gc.collect()
    assert not [str(warning.message) for warning in left]
