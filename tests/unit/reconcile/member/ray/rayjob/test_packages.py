"""Packages by a lock: what counts as one, who may install it, and what a run then is."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from hansa.api.job.packages import RuntimeEnv, requirements
from hansa.errors import Terminal
from hansa.grants.checks import judge
from hansa.grants.reasons import MemberReason
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.platform.proxy import Proxy
from hansa.reconcile.member.run_request import RenderOptions
from tests.quick import quickest_s
from tests.unit.grants.grant_kit import facts, grant, job, policy
from tests.unit.reconcile.member.ray.rendered_run import pods, rendered
from tests.unit.reconcile.member.run_request_kit import request

A, B = f"--hash=sha256:{'a' * 64}", f"--hash=sha256:{'b' * 64}"
INDEX = {"host": "pypi.example.org", "address": "192.0.2.7", "port": 8443, "path": "root/simple"}
WANTED = {"runtimeEnv": {"pip": f"six==1.16.0 {A}\n"}}
LOCKS = {
    "one line": (f"six==1.16.0 {A}", [f"six==1.16.0 {A}"]),
    "as uv and pip-compile write it": (
        f"# by uv\nnumpy==2.1.0 \\\n    {A} \\\n    {B}\n    # via\n\nsix==1.16.0 \\\n    {A}\n",
        [f"numpy==2.1.0 {A} {B}", f"six==1.16.0 {A}"],
    ),
    "extras, markers and local versions": (
        f"a.b[c,d]==2.1.0+cpu ; python_version < \"3.13\" and (os_name == 'nt') {A} # via x\n",
        [f"a.b[c,d]==2.1.0+cpu ; python_version < '3.13' and (os_name == 'nt') {A}"],
    ),
    "an epoch and a prerelease": (f"x==1!2.0rc1.post2 {A}\r\n", [f"x==1!2.0rc1.post2 {A}"]),
}
NO_LOCKS = {
    "no hash": "six==1.16.0",
    "another kind of hash": "six==1.16.0 --hash=md5:" + "a" * 32,
    "half a hash": f"six==1.16.0 {A[:-1]}",
    "a range": f"six>=1.16.0 {A}",
    "any version": f"six==1.* {A}",
    "an address": f"six @ https://example.org/six.whl {A}",
    "an index": f"--index-url https://example.org\nsix==1.16.0 {A}",
    "an option behind a hash": f"six==1.16.0 {A} --index-url https://example.org",
    "an option in a marker": f"six==1.16.0 ; a --index-url https://example.org {A}",
    "another file": f"-r other.txt\nsix==1.16.0 {A}",
    "a shell": f"six==$(id) {A}",
    "a shell in a marker": f"six==1 ; python_version < `id` {A}",
    "nothing": "# nothing\n",
    "an escape": f"six==1.16.0 ; a == 'b\\x' {A}",
}


@pytest.mark.parametrize(("text", "lines"), LOCKS.values(), ids=LOCKS)
def test_a_lock_is_read(text, lines):
    assert [*requirements(text)] == lines
    assert [*RuntimeEnv(pip=text).requirements] == lines


@pytest.mark.parametrize("text", NO_LOCKS.values(), ids=NO_LOCKS)
def test_nothing_else_is_one(text):
    with pytest.raises(ValidationError, match="must be a lock: lines NAME==VERSION with --hash"):
        RuntimeEnv(pip=text)


GAPS = {
    "in a marker": f"six==1.16.0 ;{' ' * 65_000}x {A[:-1]}",
    "before a hash": f"six==1.16.0{' ' * 65_000}{A[:-1]}",
    "before the end of a line": f"six==1.16.0{' ' * 32_000}x{' ' * 32_000}\\ \n",
    "words of a marker": f"six==1.16.0 ;{' a' * 32_000}",
    "a name": "a" * 65_000,
    "a version": f"a=={'1' * 65_000}!",
}


@pytest.mark.parametrize("text", GAPS.values(), ids=GAPS)
def test_judging_a_lock_takes_as_long_as_it_is(text):
    def refused():
        with pytest.raises(ValidationError, match="must be a lock"):
            RuntimeEnv(pip=text)

    assert quickest_s(refused, 1) < 1


def test_a_member_without_an_index_refuses_with_the_reason():
    wanted = grant(job(**WANTED))
    [no] = judge(wanted, policy(), facts()).objections
    assert no.reason is MemberReason.PACKAGES_NOT_ALLOWED
    assert "spec.packageIndex" in no.message
    assert judge(wanted, policy(packageIndex=INDEX), facts()).accepted
    assert judge(grant(), policy(), facts()).accepted


def test_nothing_is_made_where_the_index_is_gone():
    with pytest.raises(Terminal, match="names no index"):
        rendered(request(**WANTED))


def test_a_run_installs_what_is_locked_from_the_index_alone():
    made = request(law={"packageIndex": INDEX}, **WANTED)
    told = json.loads(rendered(made)["RayJob"]["spec"]["runtimeEnvYAML"])

    assert told == {
        "pip": {
            "packages": [
                "--index-url https://pypi.example.org:8443/root/simple",
                "--only-binary :all:",
                "--require-hashes",
                f"six==1.16.0 {A}",
            ],
            "pip_check": False,
        }
    }
    egress = rendered(made)["NetworkPolicy"]["spec"]["egress"]
    ports = [{"protocol": "TCP", "port": 8443}]
    assert egress[2:] == [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": ports}]
    for role, pod in pods(made).items():
        alias = [{"ip": "192.0.2.7", "hostnames": ["pypi.example.org"]}]
        assert pod["spec"].get("hostAliases") == (None if role == "submitter" else alias)
        assert pod["spec"]["dnsPolicy"] == "None"


def test_an_address_of_ipv6_is_one_host():
    law = {"packageIndex": INDEX | {"address": "2001:db8::7"}}
    [*_, last] = rendered(request(law=law, **WANTED))["NetworkPolicy"]["spec"]["egress"]
    assert last["to"] == [{"ipBlock": {"cidr": "2001:db8::7/128"}}]


def test_a_run_without_a_lock_stays_as_it_is_where_there_is_an_index():
    assert rendered(request(law={"packageIndex": INDEX})) == rendered(request())


def test_pip_trusts_the_members_authorities_and_is_told_of_no_proxy():
    proxy = Proxy(https="http://proxy:3128", authorities="ca")
    assert set(proxy.trust("/hansa").values()) == {"/hansa/ca.crt"}
    assert "PIP_CERT" in proxy.trust("/hansa")
    assert "HTTPS_PROXY" not in proxy.trust("/hansa")
    assert Proxy().trust("/hansa") == {}


def test_the_index_is_reached_at_its_address_and_not_through_a_proxy():
    proxy = Proxy(https="http://proxy:3128", direct=("10.0.0.0/8",))
    law = {"packageIndex": INDEX, "egress": [{"cidr": "203.0.113.0/24"}]}
    made = request(law, options=RenderOptions(pods=PodSettings(proxy=proxy)), **WANTED)
    env = pods(made)["head"]["spec"]["containers"][0]["env"]
    [without] = [one["value"] for one in env if one["name"] == "no_proxy"]
    assert without.endswith(",10.0.0.0/8,pypi.example.org")


@pytest.mark.parametrize("separator", "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", ids=ascii)
def test_a_comment_hides_no_package(separator):
    """Who reads the lock before signing it sees one line."""
    pinned = f"six==1.16.0 --hash=sha256:{'0' * 64}"
    assert requirements(f"{pinned}  # via x{separator}{pinned.replace('six', 'evil')}\n") == (
        pinned,
    )
