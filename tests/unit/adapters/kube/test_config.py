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


UNREAD = {
    "a provider that kubectl dropped": (
        {"auth-provider": {"name": "oidc"}},
        {},
        "auth-provider of me",
    ),
    "a password": ({"username": "jane", "password": "SECRET"}, {}, "username of me"),
    "another user": ({"token": "SECRET", "as": "auditor"}, {}, "as of me"),
    "another user's groups": ({"token": "SECRET", "as-groups": ["readers"]}, {}, "as-groups of me"),
    "any certificate": (
        {"token": "SECRET"},
        {"insecure-skip-tls-verify": True},
        "certificate-authority",
    ),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_is_not_heeded_is_refused(tmp_path, case):
    """Else one would be nobody at the server, or more than one asked to be."""
    user, cluster, words = UNREAD[case]
    path = write(
        tmp_path / "k" / "config",
        current="work",
        context={"work": {"cluster": "hub", "user": "me"}},
        cluster={"hub": {"server": "https://first"} | cluster},
        user={"me": user},
    )
    with pytest.raises(Terminal, match=words) as told:
        from_kubeconfigs((path,))
    assert "SECRET" not in str(told.value)


def test_without_a_context_the_ones_there_are_are_named(tmp_path):
    path = write(tmp_path / "k" / "config", context={"a": {}, "b": {}})
    with pytest.raises(Terminal, match="give --context, one of: a, b"):
        from_kubeconfigs((path,))


PLUGINS = {
    "that is not there": (
        "no-such-plugin",
        "Run: install it.",
        "is not installed. Run: install it.",
    ),
    "that gives nothing": ("true", "", "gave no token"),
}


@pytest.mark.parametrize("case", PLUGINS)
def test_a_plugin_that_gives_no_token_is_told_and_nobody_is_asked_without_one(tmp_path, case):
    command, hint, words = PLUGINS[case]
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command}
    plugin |= {"interactiveMode": "Never", "installHint": hint}
    path = write(
        tmp_path / "k" / "config",
        current="work",
        context={"work": {"cluster": "hub", "user": "me"}},
        cluster={"hub": {"server": "http://first"}},
        user={"me": {"exec": plugin}},
    )
    with pytest.raises(Terminal, match=words):
        from_kubeconfigs((path,)).token_command()


async def test_a_server_that_is_not_there_is_told_without_the_librarys_innards():
    place = Connection("https://127.0.0.1:9", ca_pem="")
    async with KubeCluster(place, clock=SystemClock()) as cluster:
        with pytest.raises(Retryable, match="cannot connect: ") as caught:
            await cluster.get("/version")
    assert "object at" not in str(caught.value)
    assert ssl.SSLContext.__name__ not in str(caught.value)
