"""What the agent concludes from how its canaries fare; the real API server has its own tests."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from typing import Any

import pytest

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.errors import Conflict, Retryable, Terminal
from hansa.member.cluster import second_lock
from hansa.member.cluster.cluster_state import Canary
from hansa.reconcile.member import canaries
from hansa.reconcile.member.canaries import known_bad

LAW = MemberPolicySpec.model_validate(
    {"jurisdiction": "EE", "legalControl": ["EE"], "imageRegistries": ["hansa.local/"]}
)
RULE = {"apiGroups": [""], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}
RUNS = {"matchExpressions": [{"key": "hansa.dev/job-uid", "operator": "Exists"}]}


class Server:
    """An API server whose lock holds, but for what a test changes."""

    def __init__(self) -> None:
        self.answers: dict[str, Exception | None] = {}
        """Rule → what its canary meets; None: admitted."""
        self.policies = {name: _policy(name) for name in canaries.POLICIES}
        self.bindings = {name: _binding(name) for name in canaries.POLICIES}
        self.digests = {
            (held, name): hashlib.sha256(_json(getattr(self, held)[name])).hexdigest()
            for held in ("policies", "bindings")
            for name in canaries.POLICIES
        }
        self.by_body = {_key(c.path, c.body): c.rule for c in known_bad(LAW)}

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        plain, _, query = path.partition("?")
        assert query == "dryRun=All"
        rule = self.by_body[_key(plain, body)]
        mark = rule if rule == "PodSecurity" else f"[{rule}]"
        answer = self.answers.get(rule, Terminal(f"denied request: {mark} no", status=403))
        if answer is not None:
            raise answer
        return body

    async def get(self, path: str) -> dict[str, Any]:
        collection, _, name = path.rpartition("/")
        held = "policies" if collection == second_lock.POLICIES else "bindings"
        if name not in getattr(self, held):
            raise Terminal(f"{name} not found", status=404)
        notes = {"hansa.dev/spec-digest": self.digests[held, name]}
        return {"metadata": {"annotations": notes}, "spec": _kept(getattr(self, held)[name])}


def _key(path: str, body: dict[str, Any]) -> str:
    return f"{path} {body}"


def _json(thing: Any) -> bytes:
    return json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _policy(name: str) -> dict[str, Any]:
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [RULE]},
        "validations": [{"expression": "a < b && c > d", "message": "[x] NAME@sha256:…"}],
    }
    return spec | (
        {"matchConditions": [{"name": "by-the-agent"}]} if name in canaries.CONFINED else {}
    )


def _binding(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"policyName": name, "validationActions": ["Deny"]}
    if canaries.POLICIES[name]:
        spec["paramRef"] = {"name": "local", "parameterNotFoundAction": "Deny"}
    if name not in canaries.EVERYWHERE:
        spec["matchResources"] = {"namespaceSelector": RUNS}
    return spec


def _kept(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with what a real API server fills in."""
    made = copy.deepcopy(spec)
    empty = {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}
    for part in {"matchConstraints", "matchResources"} & set(made):
        made[part] = empty | made[part]
        for rule in made[part].get("resourceRules", ()):
            rule.setdefault("scope", "*")
    return made


def judged(server: Server, law: MemberPolicySpec | None = LAW) -> Canary:
    return asyncio.run(second_lock.try_lock(server, law))  # type: ignore[arg-type]  # two calls


def test_a_lock_that_refuses_everything_holds():
    assert judged(Server()) == Canary("Denied", "")


def test_without_a_law_it_is_not_tried():
    assert judged(Server(), None).outcome == "NotRun"


RULES = [canary.rule for canary in known_bad(LAW)]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_admits_its_canary_is_named(rule: str):
    server = Server()
    server.answers[rule] = None

    told = judged(server)

    assert told.outcome == "Admitted"
    assert f"rules refuse: {rule}" in told.message
    assert "helm upgrade" in told.message


@pytest.mark.parametrize("rule", RULES)
def test_a_refusal_by_another_rule_says_nothing(rule: str):
    server = Server()
    server.answers[rule] = Terminal("denied request: [another] no", status=403)

    told = judged(server)

    assert told.outcome == "NotRun"
    assert f"{rule}: " in told.message


UNCLEAR = {
    "no answer": Retryable("connection lost"),
    "in the way": Conflict("already exists"),
    "an odd answer": Terminal("denied request: [fence] no", status=500),
    "invalid": Terminal("is invalid", status=422),
}


@pytest.mark.parametrize("error", UNCLEAR.values(), ids=UNCLEAR)
def test_what_cannot_be_told_is_no_yes(error: Exception):
    server = Server()
    server.answers["fence"] = error

    assert judged(server).outcome == "NotRun"


def test_an_open_lock_is_told_before_what_cannot_be_tried():
    server = Server()
    server.answers |= {"fence": None, "labels": Retryable("connection lost")}

    assert judged(server).outcome == "Admitted"


WEAK: dict[str, tuple[str, str, Any, str]] = {
    "ignores failures": ("policies", "failurePolicy", "Ignore", "failurePolicy is not Fail"),
    "exempts": ("policies", "matchConditions", [{"name": "x"}], "matchConditions exempt somebody"),
    "excludes a kind": (
        "policies",
        "matchConstraints",
        {"excludeResourceRules": [{}]},
        "matchConstraints pass over",
    ),
    "sees some names only": (
        "policies",
        "matchConstraints",
        {"resourceRules": [RULE | {"resourceNames": ["canary"]}]},
        "it is not as the chart made it",
    ),
    "sees no changes": (
        "policies",
        "matchConstraints",
        {"resourceRules": [RULE | {"operations": ["CREATE"]}]},
        "it is not as the chart made it",
    ),
    "sees cluster-wide objects only": (
        "policies",
        "matchConstraints",
        {"resourceRules": [RULE | {"scope": "Cluster"}]},
        "it is not as the chart made it",
    ),
    "sees one version only": (
        "policies",
        "matchConstraints",
        {"resourceRules": [RULE], "matchPolicy": "Exact"},
        "it is not as the chart made it",
    ),
    "admits all but canaries": (
        "policies",
        "validations",
        [{"expression": "object.metadata.name != 'canary' || a < b && c > d"}],
        "it is not as the chart made it",
    ),
    "admits whom it likes": (
        "policies",
        "variables",
        [{"name": "x", "expression": "request.userInfo.username != 'x'"}],
        "it is not as the chart made it",
    ),
    "is bound to some names only": (
        "bindings",
        "matchResources",
        {
            "namespaceSelector": RUNS,
            "resourceRules": [RULE | {"resourceNames": ["canary"]}],
        },
        "the binding is not as the chart made it",
    ),
    "audits": ("bindings", "validationActions", ["Audit"], "the binding does not deny"),
    "serves another": ("bindings", "policyName", "x", "the binding is of another policy"),
    "needs no law": (
        "bindings",
        "paramRef",
        {"name": "local", "parameterNotFoundAction": "Allow"},
        "the binding does not read the law",
    ),
    "passes over namespaces": ("bindings", "matchResources", {}, "the binding passes over"),
    "passes over objects": (
        "bindings",
        "matchResources",
        {"namespaceSelector": RUNS, "objectSelector": {"matchLabels": {"x": "y"}}},
        "the binding passes over",
    ),
}


@pytest.mark.parametrize(("held", "field", "value", "why"), WEAK.values(), ids=WEAK)
def test_a_weakened_policy_is_named(held: str, field: str, value: Any, why: str):
    server = Server()
    getattr(server, held)["hansa-run-pods"][field] = copy.deepcopy(value)

    told = judged(server)

    assert told.outcome == "Admitted"
    assert f"hansa-run-pods: {why}" in told.message


@pytest.mark.parametrize("held", ["policies", "bindings"])
@pytest.mark.parametrize("name", canaries.POLICIES)
def test_a_missing_part_is_named(held: str, name: str):
    server = Server()
    del getattr(server, held)[name]

    told = judged(server)

    assert told.outcome == "Admitted"
    assert f"{name} cannot be read" in told.message


def test_stopped_is_tried_only_when_the_law_says_so():
    stopped = LAW.model_copy(update={"switch": "Stopped"})

    assert "stopped" in {canary.rule for canary in known_bad(stopped)}
    assert "stopped" not in RULES


def test_each_canary_is_one_fault_away_from_lawful():
    pod = canaries.lawful_pod(LAW)
    pods = [c for c in known_bad(LAW) if c.path.endswith("/pods")]

    assert len(pods) >= 18
    assert all(canary.body != pod for canary in pods)
    assert pod == canaries.lawful_pod(LAW)
