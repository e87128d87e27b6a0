"""Everything an operator of the ledger can set, in groups, read from ``HANSA_LEDGER_*`` once."""

from __future__ import annotations

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import Group, HubCluster, Serving
from hansa.api.aijob import AIJobSpec
from hansa.api.meta import CURRENCY, PATTERN_ADVICE
from hansa.ledger.store.engine import HERE
from hansa.verification.probe.tags import LARGEST_SIZE
from hansa.verification.probe.verifier import MIN_SIZE


class Database(Group):
    """Where the books are."""

    url: SecretStr = Field(
        default=SecretStr(HERE),
        description="sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/NAME from a Secret.",
    )


class Terms(Group):
    """What the league agreed on."""

    currency: str = Field(
        default="EUR", pattern=CURRENCY, description="ISO 4217 currency of the league."
    )
    pending_seconds: int = Field(
        default=86_400,
        ge=0,
        description="How long what was charged stays pending at least, in seconds; where runs are audited also until"
        " its run was drawn and its audit, if any, has a verdict: that can void it. 0: it is due at once, whatever audits find.",
    )
    holdback_percent: int = Field(
        default=10, ge=0, le=100, description="Share of each amount that is kept back."
    )
    holdback_days: int = Field(
        default=30, ge=0, description="How long it is kept back once the rest is due, in days."
    )


class Intake(Group):
    """How receipts come in."""

    interval_seconds: float = Field(
        default=5, gt=0, description="Between looks at what waits, in seconds."
    )
    clock_skew_seconds: int = Field(
        default=60, ge=1, description="Most that a member's clock may be ahead, in seconds."
    )


class Signing(Group):
    """The hub's key: it countersigns receipts, says how far they were taken, and signs the log."""

    key_file: str = Field(
        default="",
        description="PEM file with the hub's Ed25519 key; empty: no receipts are taken from members.",
    )


class Log(Group):
    """The transparency log of receipts."""

    origin: str = Field(
        default="hansa.dev/receipts",
        description="Name of the log, without schema: the league's domain and a path.",
    )
    folder: str = Field(
        default="/var/lib/hansa/ledger/log",
        description="Where its files are: static, to be served by any web server; empty: no log.",
    )
    index: str = Field(
        default="/var/lib/hansa/ledger/leaves.db",
        description="Which receipt stands where; kept apart from the log's files.",
    )
    policy: str = Field(
        default="",
        description="File in C2SP tlog-policy form: which witnesses must have cosigned; empty: none.",
    )


class Audits(Group):
    """How runs are drawn for audits, where there is a log."""

    interval_seconds: float = Field(default=15, gt=0, description="Between passes, in seconds.")
    epoch_seconds: int = Field(
        default=3600,
        ge=1,
        description="Length of an audit epoch, in seconds: so long a run waits at most until it is known"
        " whether it is audited, but for the wait for keys.",
    )
    reveal_seconds: int = Field(
        default=600,
        ge=0,
        description="How long a closed epoch waits for its auditors' keys, in seconds; those that are"
        " missing then make every run of it more likely to be audited.",
    )
    patience_seconds: int = Field(
        default=86_400,
        ge=1,
        description="How long an auditor has at most beyond the job's own time limit, in seconds, before the"
        " next one is asked; a twelfth of its pool's verification.auditDays where that is less.",
    )
    device_roots: str = Field(
        default="",
        description="Certificates (PEM) of the vendors whose devices' reports may lift a node to L4; empty: none, and"
        " no node passes L3. Trusting one is the league's decision: its key then speaks for machines.",
    )


class Probes(Group):
    """How capacity probes are sent, where audits are drawn."""

    namespace: str = Field(
        default="",
        description="Namespace of the hub in which they stand: its institution is charged for them;"
        " empty: none is sent, and no node passes L1.",
    )
    pool: str = Field(
        default="", description="Pool that places them; it asks for no level above L0."
    )
    image: str = Field(
        default="",
        description="Image by digest, with Ray and numpy, that all members let in; with torch or cupy"
        " their GPUs are used.",
    )
    ray_version: str = Field(default="2.60.0", description="Ray version in that image.")
    size: int = Field(
        default=4096,
        ge=MIN_SIZE,
        le=LARGEST_SIZE,
        description="Rows of the matrices that are multiplied.",
    )
    every_seconds: int = Field(
        default=20 * 86_400,
        ge=1,
        lt=30 * 86_400,
        description="A node's next probe comes at a random time within so many seconds of the last;"
        " what one shows is void after 30 days.",
    )
    retry_seconds: int = Field(
        default=86_400,
        ge=1,
        description="The same for a node's first probe, and after one that was lost, in seconds.",
    )
    within_seconds: int = Field(
        default=1800,
        ge=1,
        description="From the grant to the signed answer, in seconds: the pods' start counts in.",
    )
    patience_seconds: int = Field(
        default=86_400,
        ge=1,
        description="How long a probe may wait for room at its node, in seconds, before it is lost.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Probes:
        if self.namespace and not (self.pool and self.image):
            raise ValueError("probes: namespace is set, give pool and image too, or none of them")
        if self.namespace:
            self._makes_a_job()
        return self

    def _makes_a_job(self) -> None:
        """Raise ``ValueError`` with the first setting of which the API server would take no job."""
        spec = {
            "pool": self.pool,
            "image": self.image,
            "entrypoint": ["python3"],
            "ray": {"version": self.ray_version},
            "residency": {"location": {"allow": ["World"]}, "legalControl": {"allow": ["World"]}},
        }
        try:
            AIJobSpec.model_validate(spec)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            name = "rayVersion" if fault["loc"][0] == "ray" else fault["loc"][0]
            pattern = fault.get("ctx", {}).get("pattern", "")
            why = PATTERN_ADVICE.get(pattern, fault["msg"])
            raise ValueError(f"probes.{name}: {why}") from None


class LedgerSettings(BaseSettings):
    """All settings of ``hansa ledger``."""

    model_config = SettingsConfigDict(
        env_prefix="HANSA_LEDGER_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    cluster: HubCluster = Field(
        default=HubCluster(), description="The hub's API server: nodes and their prices, projects."
    )
    database: Database = Field(default=Database(), description="The books.")
    terms: Terms = Field(default=Terms(), description="What is agreed.")
    intake: Intake = Field(default=Intake(), description="Receipts.")
    signing: Signing = Field(default=Signing(), description="Keys.")
    log: Log = Field(default=Log(), description="The transparency log.")
    audits: Audits = Field(default=Audits(), description="Verification.")
    probes: Probes = Field(default=Probes(), description="Capacity probes.")
    serving: Serving = Field(default=Serving(), description="Probes and metrics.")
