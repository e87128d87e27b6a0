"""The platform team's settings of runs: what is read of them, and what is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from hansa.member.run_settings import Runs
from hansa.member.settings import MemberSettings
from hansa.reconcile.member.inventory.taints import Toleration
from hansa.reconcile.member.platform.pod_settings import RunUser
from hansa.reconcile.member.platform.resolvers import Resolver

PARTS = Path(__file__).parents[3] / "helm/hansa-member/templates/lock/_parts.tpl"
REFUSED = {
    "no key": ({"tolerations": [{"value": "x"}]}, "key"),
    "every taint": ({"tolerations": [{"key": ""}]}, "key"),
    "every value by Exists": ({"tolerations": [{"key": "x", "operator": "Exists", "value": "y"}]}, "Exists"),
    "no value by Equal": ({"tolerations": [{"key": "x", "operator": "Equal"}]}, "Equal"),
    "a machine's state": ({"tolerations": [{"key": "node.kubernetes.io/not-ready"}]}, "state"),
    "a quote": ({"tolerations": [{"key": "a' || true"}]}, "key"),
    "root": ({"user": {"uid": 0}}, "uid"),
    "root's group": ({"image_users": [{"imagePrefix": "x/", "uid": 1, "gid": 0}]}, "gid"),
    "a user where the cluster chooses": ({"user_from": "Cluster", "user": {"uid": 9}}, "imageUsers"),
    "a label of ours": ({"labels": {"hansa.dev/job-uid": "x"}}, "hansa.dev/job-uid"),
    "a label of Ray's": ({"labels": {"ray.io/cluster": "x"}}, "ray.io/cluster"),
    "a label of KubeRay's": ({"labels": {"app.kubernetes.io/name": "x"}}, "kubernetes.io/name"),
    "a label that is none": ({"labels": {"queue": "a b"}}, "queue"),
    "a note of two lines": ({"annotations": {"a": "x\ny"}}, "annotations"),
    "a note of Ray's": ({"annotations": {"ray.io/ft-enabled": "true"}}, "ray.io/ft-enabled"),
    "no AppArmor": (
        {"annotations": {"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}},
        "apparmor",
    ),
    "a secret's name that is none": ({"image_pull_secrets": ["A'"]}, "image_pull_secrets"),
    "a runtime class that is none": ({"runtime_class_name": "x' || true"}, "runtime_class_name"),
    "a resolver nowhere": ({"dns": [{"port": 53}]}, "namespace or cidr"),
    "a resolver twice": ({"dns": [{"namespace": "a", "cidr": "192.0.2.1/32"}]}, "namespace or cidr"),
    "no network": ({"dns": [{"cidr": "192.0.2.1/24"}]}, "write 192.0.2.0/24"),
    "a proxy by TLS": ({"proxy": {"https": "https://proxy:3128"}}, "https"),
    "scratch of a word": ({"scratch_size": "much"}, "scratch_size"),
    "scratch without a limit": ({"scratch_size": "0Gi"}, "scratch_size"),
    "checkpoints of nothing": ({"checkpoints": {"size": "0"}}, "size"),
    "an address for a network": ({"dns": [{"cidr": "169.254.20.10"}]}, "write 169.254.20.10/32"),
    "no such field": ({"pull_secrets": ["x"]}, "pull_secrets"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_settings_are_named(name):
    given, word = REFUSED[name]
    with pytest.raises(ValidationError, match=word):
        Runs.model_validate(given)


ALIKE = {
    "any value": ({"key": "sku", "operator": "Exists"}, Toleration("sku")),
    "one value": (
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        Toleration("sku", "gpu", "NoSchedule"),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_toleration_may_stand_as_pods_state_it(name):
    given, meant = ALIKE[name]
    assert Runs.model_validate({"tolerations": [given]}).more_tolerations() == (meant,)


def test_they_come_from_the_environment_as_the_chart_writes_them(monkeypatch):
    said = {
        "NODE": "tartu",
        "RUNS__USER__UID": "2000",
        "RUNS__USER__FS_GROUP": "3000",
        "RUNS__IMAGE_USERS": '[{"imagePrefix": "r.example/ray", "uid": 1000, "gid": 100}]',
        "RUNS__PROXY__DIRECT": '["10.0.0.0/8"]',
        "RUNS__LABELS": '{"kueue.x-k8s.io/queue-name": "league"}',
        "RUNS__NODE_SELECTOR": '{"pool": "gpu"}',
        "RUNS__TOLERATIONS": '[{"key": "sku"}]',
        "RUNS__DNS": '[{"namespace": "dns", "port": 1053}]',
    }
    for name, value in said.items():
        monkeypatch.setenv(f"HANSA_MEMBER_{name}", value)
    settings = MemberSettings()
    pods, rules = settings.runs.pods(), settings.machine_rules()

    assert pods.user == RunUser(2000, 65532, 3000)
    assert pods.user_of("r.example/ray:2") == RunUser(1000, 100, 3000)
    assert pods.proxy.direct == ("10.0.0.0/8",)
    assert pods.labels == {"kueue.x-k8s.io/queue-name": "league"}
    assert (pods.node_selector, rules.node_selector) == ({"pool": "gpu"},) * 2
    assert Toleration("sku") in rules.tolerations
    assert settings.runs.resolvers() == (Resolver("dns", port=1053),)


def test_where_the_cluster_chooses_no_user_is_stated():
    assert Runs(user_from="Cluster").pods().user_of("docker.io/rayproject/ray:2") is None


def test_the_lock_knows_the_users_that_are_default():
    text = PARTS.read_text()
    [row] = re.findall(r'dict "imagePrefix" "(.*?)" "uid" (\d+) "gid" (\d+)', text)
    [own] = re.findall(r"uid \| default (\d+) .*gid \| default (\d+) ", text)
    default = Runs()

    assert {(str(one.uid), str(one.gid)) for one in default.image_users} == {row[1:]}
    assert (str(default.user.uid), str(default.user.gid)) == own
