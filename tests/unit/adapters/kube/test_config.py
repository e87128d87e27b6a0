"""Several kubeconfigs are one, as kubectl has it; what goes wrong below HTTP is told in words."""

from __future__ import annotations

import ssl

import pytest
import yaml

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfigs
from hansa.errors import Retryable, Terminal


def write(path, *, current="", **tables):
    rows = {
        f"{kind}s": [{"name": name, kind: facts} for name, facts in table.items()]
        for kind, table in tables.items()
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(({"current-context": current} if current else {}) | rows))
    return path


@pytest.fixture
def files(tmp_path):
    """The context in one file, its cluster and user in others; a second cluster of the same name."""
    return (
        write(tmp_path / "a" / "config", context={"work": {"cluster": "hub", "user": "me"}}),
        write(
            tmp_path / "b" / "config",
            current="work",
            cluster={"hub": {"server": "https://first", "certificate-authority": "ca.crt"}},
        ),
        write(
            tmp_path / "c" / "config",
            current="other",
            cluster={"hub": {"server": "https://second"}},
            user={"me": {"tokenFile": "token"}},
            context={"other": {"cluster": "hub", "user": "me", "namespace": "clinic"}},
        ),
    )


def test_the_first_to_name_something_counts(files):
    found = from_kubeconfigs(files)
    assert found.server == "https://first"
    assert found.namespace == "default"


def test_files_are_named_from_where_their_kubeconfig_lies(files):
    found = from_kubeconfigs(files)
    assert found.ca_file == files[1].parent / "ca.crt"
    assert found.token_file == files[2].parent / "token"


def test_a_context_may_stand_in_any(files):
    assert from_kubeconfigs(files, context="other").namespace == "clinic"
    with pytest.raises(Terminal, match="no context named 'none'"):
        from_kubeconfigs(files, context="none")


GARBAGE = {
    "text": "hello",
    "rows that are none": "users: [1, null, {name: 3}]",
    "tables": "users: 5",
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_one_that_is_none_is_a_sentence(files, tmp_path, text):
    bad = tmp_path / "bad"
    bad.write_text(text)
    if text == "hello":
        with pytest.raises(Terminal, match="is not a kubeconfig"):
            from_kubeconfigs((bad, *files))
    else:
        assert from_kubeconfigs((bad, *files)).server == "https://first"


async def test_a_server_that_is_not_there_is_told_without_the_librarys_innards():
    place = Connection("https://127.0.0.1:9", ca_pem="")
    async with KubeCluster(place, clock=SystemClock()) as cluster:
        with pytest.raises(Retryable, match="cannot connect: ") as caught:
            await cluster.get("/version")
    assert "object at" not in str(caught.value)
    assert ssl.SSLContext.__name__ not in str(caught.value)
