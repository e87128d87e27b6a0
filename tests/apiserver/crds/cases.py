"""What to send for a constraint: samples for patterns, hand-written cases for the CEL rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hansa.api import group, meta
from tests.apiserver.crds.bases import BASES, DIGEST, LATE, UID
from tests.apiserver.crds.verified import SEGMENT
from tests.apiserver.lock.lawful import LOCK
from tests.residency_kit import EVERYWHERE, WORLD, stands_in

HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Sample:
    """Values around a pattern. ``nth`` gives different good ones, for full lists."""

    good: tuple[Any, ...]
    bad: tuple[Any, ...]
    nth: Callable[[int], str] = lambda n: f"n{n}"


def _place(n: int) -> str:
    return f"EE-{n:03}"


def digest_of(n: int) -> str:
    return f"sha256:{n:064x}"


SAMPLES: dict[str, Sample] = {
    meta.DNS_LABEL: Sample(("a", "a-1", "a" * 63), ("Tartu", "-a", "a-", "a.b", "a b", "a\nb")),
    meta.COUNTRY_OR_REGION: Sample(
        ("EE", "PT-11", "FR-ARA", "GB", "GR"),
        (
            "ee",
            "EST",
            "EE-",
            "EE-ABCD",
            "Estonia",
            "UK",
            "EL",
            "XX",
            "UK-SCT",
            "EE-ZZ",
            "EU",
            "World",
        ),
        _place,
    ),
    meta.COUNTRY_REGION_OR_BLOC: Sample(
        ("EE", "PT-11", "EU", "World"), ("Europe", "UK", "EL", "XX-1", "overlay/a"), _place
    ),
    meta.PLACE: Sample(
        ("EE", "PT-11", "Nordic", "overlay/" + "a" * 63),
        ("Europe", "ee", "overlay/", "EU,EE", "UK", "EL", "XX-1"),
        _place,
    ),
    meta.STATE_DIGEST: Sample(("a" * 64,), ("A" * 64, "a" * 63, "sha256:" + "a" * 57)),
    meta.QUANTITY: Sample(
        ("0", "500m", "2", "1.5Gi", 2, 16 << 30), ("2GB", "-1", "two", "1e3", "", -1, 0.5, True)
    ),
    meta.DECIMAL: Sample(
        ("0", "0.35", "9" * 12 + ".999999", 7),
        ("-1", "1.", ".5", "1e3", "0.1234567", -1, 0.42, True),
    ),
    meta.DIGEST_IMAGE: Sample(
        (f"ray@{DIGEST}", f"hansa.local:5000/lab/ray@{DIGEST}"),
        ("rayproject/ray:2.60.0", f"Ray@{DIGEST}", DIGEST, "ray@sha256:abc", "ray"),
    ),
    group.TIME: Sample(
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00.25+02:00"),
        (
            "2026-05-01T12:00:00",
            "2026-05-01t12:00:00z",
            "2026-05-01T24:00:00Z",
            "2026-W18-5",
            "now",
        ),
    ),
    meta.TEXT: Sample(("a\nb", "\u00e9"), ("a\0b",)),
    meta.DAY: Sample(("2026-05-01",), ("2026", "1.5.2026", "2026-5-1")),
    meta.LOCAL_PATH: Sample(("", "digits/v1", "a" * 256), ("a b", "a;b", "~")),
    meta.NETWORK: Sample(
        ("10.0.0.0/8", "2001:db8::/32"), ("10.0.0.0", "example.org/8", "10.0.0.0/8,11.0.0.0/8")
    ),
    meta.LOCK: Sample(
        (LOCK, f"{LOCK}{'# filled' * 8000}"[: 1 << 16].ljust(1 << 16, "#")),
        (
            LOCK + "--index-url https://example.org",
            "six>=1",
            "six==$(id)",
            "x @ https://example.org/x",
        ),
    ),
    meta.HOST_NAME: Sample(("pypi.example.org", "a"), ("https://a", "a/b", "a:443", "-a")),
    meta.ADDRESS: Sample(
        ("192.0.2.7", "2001:db8::7"), ("pypi.example.org", "10.0.0.0/8", "10.0.0.1:1")
    ),
    meta.IMAGE_PREFIX: Sample(
        ("ghcr.io/lab/", "a" * 253), ("https://ghcr.io", "GHCR.io", "/lab", "")
    ),
    meta.PUBLIC_KEY: Sample(
        ("A" * 43 + "=",), ("A" * 44, "A" * 42 + "=", "-----BEGIN PUBLIC KEY-----")
    ),
    meta.P256_POINT: Sample(
        ("Ag" + "A" * 42, "Aw" + "/" * 42),
        ("A" * 44, "Ag" + "A" * 41 + "=", "BA" + "A" * 42, "hello"),
    ),
    meta.BASE64: Sample(("AAAA", "A" * 86 + "=="), ("A-A_", "=", "A===")),
    meta.UID: Sample((UID, "f" * 8 + UID[8:]), ("abc", UID.upper())),
    meta.RELEASE_NUMBER: Sample(
        ("2.60.0", "10.0.0", "2.60.0rc1", "2.60.0.post1"),
        ("2.60", "v2.60.0", "2.60.0.x1", "latest"),
    ),
    meta.FILE_NAME: Sample(
        ("a", "train.py", "a_b-c.d", "a" * 128), ("", ".env", "a/b", "../a", "a.", "a b")
    ),
    meta.RAY_RESOURCE: Sample(("a", "A.b-c_9", "a" * 63), ("", "9a", "-a", "a b", 'a"', "a$(id)")),
    meta.ENV_NAME: Sample(("A", "_a1", "A" * 128), ("1A", "A-B", "A=B", "")),
    meta.CURRENCY: Sample(("EUR",), ("eur", "EURO", "€")),
    meta.TOLERANCE: Sample(("0", "0.001", "1e-6"), ("-1", "1e6", ".5", "one")),
    meta.REASON: Sample(("Pending", "A1", "A" * 63), ("not ready", "1st", "")),
    meta.SHA256: Sample(
        (DIGEST, digest_of(7)), ("md5:abc", "a" * 64, "sha256:" + "A" * 64), digest_of
    ),
}
"""Pattern → values, good and bad. A pattern of the API without an entry fails the walk."""


RESERVED = {(".spec.workload", "Inference")}
"""Words of an enum that a rule refuses until they mean something."""


@dataclass(frozen=True)
class Case:
    """A CEL rule's two sides: values for the place the rule sits at (from ``root``: whole objects).

    ``old``: the value before, for rules about change.
    """

    accepted: Any
    rejected: Any
    old: Any = None


def changed(base: Any, /, **changes: Any) -> Any:
    """Return a copy with fields replaced; None removes one."""
    merged = {**base, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _named(kind: str, name: str) -> dict:
    return changed(BASES[kind], metadata={"name": name})


JOB = BASES["AIJob"]["spec"]
POOL = BASES["ComputePool"]["spec"]
GRANT = BASES["WorkGrant"]["spec"]
PROJECT = BASES["Project"]["spec"]
RAY, WORKERS = JOB["ray"], JOB["ray"]["workers"]
ALONE = {"count": 0, "gpus": 1}
SHARE, COHORT = POOL["institutions"][0], POOL["cohorts"][0]

OTHER_JOB: dict[str, Any] = {
    "pool": "other",
    "workload": "FineTune",
    "image": f"other@{DIGEST}",
    "entrypoint": ["python3", "other.py"],
    "files": [],
    "env": [],
    "secrets": [],
    "ray": changed(JOB["ray"], version="2.61.0"),
    "runtimeEnv": None,
    "data": [{"name": "other"}],
    "residency": stands_in("EE"),
    "maxRuntimeSeconds": 61,
    "checkpointSeconds": 61,
    "budget": None,
    "disconnection": {"policy": "Stop"},
    "project": "other",
    "assurance": "L1",
    "comparator": {"absolute": "0.1"},
    "audit": {"of": "other", "epoch": 1, "node": "riga"},
    "result": {"maxBytes": 924},
    "authorizations": [],
    "retry": {"limit": 1},
    "ttlSecondsAfterFinished": 61,
}
"""For each field that is frozen while a job is placed: another valid value (None: removed)."""
OTHER_GRANT: dict[str, Any] = {
    "issuer": digest_of(1),
    "audience": digest_of(1),
    "node": "riga",
    "job": changed(GRANT["job"], name="other"),
    "institution": "other",
    "project": "other",
    "epoch": 2,
    "notBefore": "2026-02-01T00:00:00Z",
    "notAfter": "2099-02-01T00:00:00Z",
    "specDigest": digest_of(1),
    "jobSpec": changed(JOB, priority=2),
    "overlays": [],
    "workers": 3,
    "signatures": [changed(GRANT["signatures"][0], signature="BBBB")],
}
HELD = BASES["MemberPolicy"]["spec"]["datasets"][0]


def _pool(**changes: Any) -> dict:
    return changed(POOL, **changes)


def _residency(test: str, side: str, place: str) -> dict:
    return {"residency": EVERYWHERE | {test: WORLD | {side: [place]}}}


def _policy(changes: dict) -> dict:
    """The law with one data set that is changed."""
    return changed(BASES["MemberPolicy"]["spec"], datasets=[changed(HELD, **changes)])


ROOT_RULES: dict[tuple[str, str], Case] = {
    ("SovereignNode", ""): Case(
        _named("SovereignNode", "a" * 52), _named("SovereignNode", "a" * 53)
    ),
    ("ComputePool", ""): Case(_named("ComputePool", "a" * 63), _named("ComputePool", "a.b")),
    ("Project", ""): Case(_named("Project", "a" * 63), _named("Project", "a" * 64)),
    ("Project", ".spec.end"): Case(
        BASES["Project"], changed(BASES["Project"], spec=changed(PROJECT, end=PROJECT["begin"]))
    ),
    ("AIJob", ""): Case(_named("AIJob", "a" * 63), _named("AIJob", "a" * 64)),
    ("WorkGrant", ""): Case(_named("WorkGrant", f"{UID}-e1"), _named("WorkGrant", f"{UID}-e2")),
    ("MemberPolicy", ""): Case(_named("MemberPolicy", "local"), _named("MemberPolicy", "other")),
}
"""(kind, fieldPath) → case over whole objects."""

RULES: dict[str, Case] = {
    "institution cannot be changed": Case("university", "telecom", old="university"),
    "budget.currency cannot be changed": Case(
        {"limit": "2000", "currency": "EUR"},
        {"limit": "1000", "currency": "CHF"},
        old={"limit": "1000", "currency": "EUR"},
    ),
    "denying World leaves nowhere": Case(
        {"allow": ["World"], "deny": ["US"]}, {"allow": ["World"], "deny": ["World"]}
    ),
    "a place is both allowed and denied": Case(
        {"allow": ["EU"], "deny": ["HU"]}, {"allow": ["EU", "EE"], "deny": ["EE"]}
    ),
    "institutions[].cohort must be": Case(
        _pool(institutions=[changed(SHARE, cohort="baltic")]),
        _pool(institutions=[changed(SHARE, cohort="nordic")]),
    ),
    "cohorts[].parent must be": Case(
        _pool(cohorts=[COHORT, {"name": "north", "parent": "baltic"}]),
        _pool(cohorts=[{"name": "baltic", "parent": "nordic"}]),
    ),
    **{
        f"residency.{test}.{side} names": Case(
            _pool(**_residency(test, side, "overlay/adequate")),
            _pool(**_residency(test, side, "overlay/unknown")),
        )
        for test in ("location", "legalControl")
        for side in ("allow", "deny")
    },
    **{
        f"datasets[].residency.{test}.{side} names": Case(
            _policy(_residency(test, side, "overlay/adequate")),
            _policy(_residency(test, side, "overlay/unknown")),
        )
        for test in ("location", "legalControl")
        for side in ("allow", "deny")
    },
    "overlays[].places names an overlay that overlays[] of the policy": Case(
        _policy({}),
        _policy({}) | {"overlays": [{"name": "wide", "places": ["overlay/unknown"]}]},
    ),
    "overlays[].places names an overlay that overlays[] of the pool": Case(
        _pool(overlays=[*POOL["overlays"], {"name": "wide", "places": ["overlay/adequate"]}]),
        _pool(overlays=[*POOL["overlays"], {"name": "wide", "places": ["overlay/unknown"]}]),
    ),
    "exports.result: OnRelease needs owners": Case(
        changed(HELD, exports={"result": "OnRelease"}),
        changed(HELD, exports={"result": "OnRelease"}, owners=[]),
    ),
    "relative: 1 or more makes": Case("0.5", "1"),
    "of and epoch name a run together": Case({"node": "riga"}, {"node": "riga", "epoch": 1}),
    "a result has room for 48": Case({"steps": 480, "every": 10}, {"steps": 481, "every": 10}),
    "comparator.checkpoints are told in the result": Case(
        changed(JOB, result={}), changed(JOB, result=None)
    ),
    "result.maxBytes has no room": Case(
        changed(JOB, result={"maxBytes": 924}), changed(JOB, result={"maxBytes": 923})
    ),
    "first has to be before last": Case(changed(SEGMENT, first=7), changed(SEGMENT, first=8)),
    "Inference is not served yet": Case("FineTune", "Inference"),
    "lendingLimitGpus must not exceed": Case(
        changed(SHARE, nominalGpus=2, lendingLimitGpus=2),
        changed(SHARE, nominalGpus=2, lendingLimitGpus=3),
    ),
    "a cohort cannot enclose itself": Case(
        {"name": "baltic"}, {"name": "baltic", "parent": "baltic"}
    ),
    "entrypoint[0] must be": Case(
        changed(JOB, entrypoint=["sh"]), changed(JOB, entrypoint=["", "x"])
    ),
    "names beginning with RAY_": Case("RAYON", "LD_PRELOAD"),
    "memory must be 1Mi or more": Case("1Mi", "16"),
    "gpuMemory must be 1Mi or more": Case("20Gi", "80"),
    "cpu must be more than 0": Case("0.1", "0.0"),
    "CPU, GPU and memory are no custom": Case("ssd", "GPU"),
    "Ray before 2.54.0": Case("2.54.0", "2.53.9"),
    "minCount must not exceed": Case(
        changed(WORKERS, minCount=1024), changed(WORKERS, count=2, minCount=3)
    ),
    "head.gpus must be 0 or": Case(changed(RAY, head={"gpus": 1}), changed(RAY, head={"gpus": 2})),
    "gpus of a group must be": Case(
        changed(RAY, workerGroups=[{"name": "cpu"}]),
        changed(RAY, workerGroups=[{"name": "cpu"}, {"name": "more", "gpus": 2}]),
    ),
    "workers.count may be 0 only": Case(
        changed(RAY, workers=ALONE, head={"gpus": 1}), changed(RAY, workers=ALONE)
    ),
    "workers is the first group": Case("worker", "workers"),
    "give gpuClass, or gpuMemory": Case(
        changed(WORKERS, gpuClass=None, gpuMemory="20Gi"), changed(WORKERS, gpuMemory="20Gi")
    ),
    "gpus must be at least 1": Case(
        changed(WORKERS, gpus=0, gpuClass=None), changed(WORKERS, gpus=0)
    ),
    "notAfter must be later": Case(GRANT, changed(GRANT, notBefore=LATE, notAfter=LATE)),
    "a stop cannot be taken back": Case("Stop", "None", old="Stop"),
    "path must stay inside the claim": Case("a/b", "../etc"),
    "address must be one of": Case("2001:db8::7", "999.0.0.1"),
    "cidr must be a network, for": Case("10.0.0.0/8", "999.0.0.0/8"),
}
"""Beginning of a rule's message → case for the place the rule sits at."""
