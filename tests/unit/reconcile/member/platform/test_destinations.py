"""Where a law lets runs out to: a wide network leaves out where clouds give machines their identity."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansa.reconcile.member.platform.destinations import OF_THE_MACHINE, block
from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request

LOCK = Path(__file__).parents[5] / "helm/hansa-member/templates/lock/fences.yaml"
V4 = ["169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32"]
LEFT_OUT = {
    "0.0.0.0/0": V4,
    "168.0.0.0/7": ["169.254.0.0/16", "168.63.129.16/32"],
    "100.64.0.0/10": ["100.100.100.200/32"],
    "::/0": ["fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128"],
    "fd00::/8": ["fd00:ec2::254/128", "fd20:ce::254/128"],
    "10.0.0.0/8": [],
    "10.0.0.1/8": [],
    "192.0.2.7/32": [],
    "2001:db8::/32": [],
}
MEANT = ("169.254.0.0/16", "169.254.1.1/16", "169.254.169.254/32", "fe80::/10", "fd00:ec2::254/128")


@pytest.mark.parametrize("cidr", LEFT_OUT)
def test_what_a_wide_network_leaves_out(cidr):
    assert block(cidr).get("except", []) == LEFT_OUT[cidr]
    assert block(cidr)["cidr"] == cidr


@pytest.mark.parametrize("cidr", MEANT)
def test_who_names_them_means_them(cidr):
    assert block(cidr) == {"cidr": cidr}


def test_a_run_is_fenced_by_it():
    made = request({"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]})
    rules = rendered(made)["NetworkPolicy"]["spec"]["egress"]
    [wide] = [rule for rule in rules if "ipBlock" in rule["to"][0]]
    assert wide["to"][0]["ipBlock"] == {"cidr": "0.0.0.0/0", "except": V4}


def test_the_second_lock_knows_the_same_networks():
    [listed] = re.findall(r"== \[('169[^\]]*)\]", LOCK.read_text())
    assert tuple(re.findall(r"'([^']+)'", listed)) == OF_THE_MACHINE
