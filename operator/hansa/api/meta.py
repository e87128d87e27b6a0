"""The pieces every kind shares: names, conditions, labels and the base of all models.

Kept apart from the kinds so that a pattern or a limit is written once and generated everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from hansa.api import group, places

GROUP, VERSION, API_VERSION = group.GROUP, group.VERSION, group.API_VERSION
CATEGORY = "hansa"

INSTITUTION_LABEL = f"{GROUP}/institution"
"""On a hub namespace: the institution its jobs are charged to. Only the platform team may set it."""
JOB_UID_LABEL = f"{GROUP}/job-uid"
JOB_NAME_LABEL = f"{GROUP}/job-name"
JOB_NAMESPACE_LABEL = f"{GROUP}/job-namespace"
EPOCH_LABEL = f"{GROUP}/epoch"
NODE_LABEL = f"{GROUP}/node"
JURISDICTION_LABEL = f"{GROUP}/jurisdiction"
"""On a member's machines (Kubernetes Nodes): where the machine stands, as ISO 3166-1 or -2."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
LOG_REQUEST_ANNOTATION = f"{GROUP}/follow-log"
"""On a job, and copied to its grant: that somebody follows the log (``model.log_request``)."""
NODE_NAMESPACE_PREFIX = "hansa-node-"
"""The hub namespace of node ``x`` is ``hansa-node-x``; its identity reaches no other."""
NODE_ACCOUNT = "hansa-agent"
"""A node is this service account in its namespace on the hub."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def _one_of(countries: Iterable[str]) -> str:
    """Return the pattern of some countries, as short as it can be."""
    return "|".join(
        f"{first}[{''.join(code[1] for code in codes)}]"
        for first, codes in groupby(sorted(countries), key=lambda code: code[0])
    )


_REGION = "|".join(
    f"({_one_of(countries)})-({shape})" for shape, countries in places.REGION_SHAPES.items()
)
_JURISDICTION = f"({_one_of(places.COUNTRIES)}|{_REGION})"
_BLOC = "|".join(places.BLOCS)
_OVERLAY = f"{places.OVERLAY_PREFIX}[a-z0-9]([-a-z0-9]*[a-z0-9])?"
COUNTRY_OR_REGION = f"^{_JURISDICTION}$"
COUNTRY_REGION_OR_BLOC = f"^({_JURISDICTION}|{_BLOC})$"
PLACE = f"^({_JURISDICTION}|{_BLOC}|{_OVERLAY})$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
DECIMAL = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
STATE_DIGEST = r"^[a-f0-9]{64}$"
TOLERANCE = r"^[0-9]{1,9}(\.[0-9]{1,12})?(e-[0-9]{1,2})?$"
DIGEST_IMAGE = r"^[a-z0-9]([-a-z0-9._:/]*[a-z0-9])?@sha256:[a-f0-9]{64}$"
TEXT = r"^[^\x00]*$"
LOCAL_PATH = r"^[A-Za-z0-9._/-]*$"
NETWORK = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"
HOST_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ADDRESS = r"^[0-9a-fA-F.:]+$"
LOCK = r"^((#[^\n]*|[A-Za-z0-9][^\n/@$ ]*==[^\n/@$]*|[ \t]+(--hash=|#)[^\n]*|[ \t\r]*)(\n|$))*$"
IMAGE_PREFIX = r"^[a-z0-9]([a-z0-9._:-]|/[a-z0-9])*/?$"
PUBLIC_KEY = r"^[A-Za-z0-9+/]{43}=$"
P256_POINT = r"^A[g-z0-9+/][A-Za-z0-9+/]{42}$"
BASE64 = r"^[A-Za-z0-9+/]+={0,2}$"
UID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
RELEASE_NUMBER = r"^[0-9]+\.[0-9]+\.[0-9]+((rc|\.post|\.dev)[0-9]+)?$"
FILE_NAME = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"
RAY_RESOURCE = r"^[A-Za-z][A-Za-z0-9_.-]*$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
CURRENCY = r"^[A-Z]{3}$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
REASON = r"^[A-Za-z]([A-Za-z0-9]*)$"
SHA256 = r"^sha256:[a-f0-9]{64}$"

_ISO = (
    "an ISO 3166 code that exists, for example EE or PT-11"
    f" ({', '.join(f'for {wrong} write {code}' for wrong, code in places.MISTAKEN.items())})"
)
PATTERN_ADVICE = {
    DNS_LABEL: "must be lower case letters, digits and '-', for example tallinn-1",
    COUNTRY_OR_REGION: f"must be {_ISO}, and no bloc",
    COUNTRY_REGION_OR_BLOC: f"must be {_ISO}, or a bloc ({', '.join(places.BLOCS)})",
    PLACE: f"must be {_ISO}, a bloc ({', '.join(places.BLOCS)}) or overlay/NAME",
    QUANTITY: "must be a quantity, for example 500m, 2 or 16Gi",
    DECIMAL: "must be a whole number, or a decimal one in quotes with at most six places, for example '0.35'",
    TOLERANCE: "must be a decimal number in quotes, for example '0.001' or '1e-6'",
    DIGEST_IMAGE: "must name the image by digest, NAME@sha256:64 hex digits, for example"
    " ghcr.io/lab/train@sha256:…; a tag can be moved",
    TEXT: "must be text without the character NUL (U+0000): no program can be given it",
    LOCAL_PATH: "must be a folder or path of letters, digits, '.', '_', '-' and '/', for example screening/2025",
    HOST_NAME: "must be the name of a host, for example pypi.example.org",
    ADDRESS: "must be an address of IPv4 or IPv6, for example 192.0.2.7",
    LOCK: "must be a lock: lines NAME==VERSION with --hash=sha256:…, no options and no addresses; make one with:"
    " uv pip compile --generate-hashes",
    NETWORK: "must be a network in CIDR form, for example 10.0.0.0/8 or 2001:db8::/32",
    IMAGE_PREFIX: "must be an image prefix without scheme, for example ghcr.io/lab/",
    PUBLIC_KEY: "must be a raw Ed25519 public key in base64: 43 characters and '='",
    P256_POINT: "must be a compressed P-256 point in base64: 44 characters, as `hansa join` printed it",
    BASE64: "must be base64",
    UID: "must be a uid, for example 0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60",
    RELEASE_NUMBER: "must be a release number, for example 2.60.0 or 2.60.0.post1",
    FILE_NAME: "must be a file name of letters, digits, '_', '.' and '-', for example train.py",
    RAY_RESOURCE: "must begin with a letter, then letters, digits, '_', '.' and '-'",
    ENV_NAME: "must be letters, digits and '_', and not begin with a digit",
    CURRENCY: "must be an ISO 4217 code, for example EUR",
    DAY: "must be a day, for example 2026-05-01",
    group.TIME: "must be a time with its zone (RFC 3339), for example 2026-05-01T12:00:00Z",
    REASON: "must be one word in CamelCase",
    SHA256: "must be sha256: and 64 hex digits",
    STATE_DIGEST: "must be 64 hex digits",
}
"""What to tell a person whose value does not match. Every pattern in the API has an entry."""


def node_user(node: str) -> str:
    """Return the name by which the hub's API server knows a node.

    >>> node_user("tartu")
    'system:serviceaccount:hansa-node-tartu:hansa-agent'
    """
    return f"system:serviceaccount:{NODE_NAMESPACE_PREFIX}{node}:{NODE_ACCOUNT}"


def is_name(text: str) -> bool:
    """Tell whether a text is what ``Name`` takes, as the API server would say."""
    return len(text) <= LONGEST_NAME and re.fullmatch(DNS_LABEL, text) is not None


LARGEST_INTEGER = (1 << 53) - 1
"""That JSON carries unchanged everywhere (RFC 8785)."""
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_KEYS = "x-kubernetes-list-map-keys"
Rule = dict[str, str]


def rule(cel: str, message: str, *, field_path: str = "") -> Rule:
    """Return one CEL rule; ``field_path`` names the field in the API server's refusal."""
    return {"rule": cel, "message": message} | ({"fieldPath": field_path} if field_path else {})


def checked(*rules: Rule) -> dict[str, Any]:
    """Return the ``json_schema_extra`` that puts CEL rules on a field or a model."""
    return {"x-kubernetes-validations": list(rules)}


ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
"""The ``json_schema_extra`` of scalar lists whose order or repetition means something."""
OPAQUE: dict[str, Any] = {
    "x-kubernetes-preserve-unknown-fields": True,
    "x-kubernetes-map-type": "atomic",
}
"""The ``json_schema_extra`` of an object that the API server passes on as it is, like a sealed letter."""


def keyed(*keys: str) -> dict[str, Any]:
    """Return the ``json_schema_extra`` of models whose lists hold one item per key."""
    return {LIST_KEYS: list(keys)}


LONGEST_NAME = 63
Name = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=LONGEST_NAME)]


def _existing(is_right: Callable[[str], bool]) -> AfterValidator:
    """Return the check that the models make of a place; regions are too many for a pattern."""

    def check(place: str) -> str:
        if not is_right(place):
            raise ValueError(places.unknown(place))
        return place

    return AfterValidator(check)


def _is_bloc_free(place: str) -> bool:
    if place in places.BLOCS:
        raise ValueError(f"{place} is a bloc; name the country or region, for example EE or PT-11")
    return places.is_jurisdiction(place)


def _is_place(place: str) -> bool:
    return re.fullmatch(_OVERLAY, place) is not None or places.is_known(place)


def _pattern(pattern: str) -> Any:
    """Return the pattern for the schema alone: the model's own check tells what would be right."""
    return Field(json_schema_extra={"pattern": pattern})


# Longer than any match: "Estonia" should hear what a code looks like, not that it is too long.
Jurisdiction = Annotated[
    str,
    StringConstraints(max_length=32),
    _pattern(COUNTRY_OR_REGION),
    _existing(_is_bloc_free),
]
"""Where something is: ISO 3166-1 alpha-2 (``EE``) or ISO 3166-2 (``PT-11``)."""
JurisdictionOrBloc = Annotated[
    str,
    StringConstraints(max_length=32),
    _pattern(COUNTRY_REGION_OR_BLOC),
    _existing(places.is_known),
]
"""A jurisdiction or a bloc (``EU``, ``Nordic``, ``World`` …)."""
Place = Annotated[str, StringConstraints(max_length=80), _pattern(PLACE), _existing(_is_place)]
"""A jurisdiction, a bloc, or a pool's ``overlay/NAME``."""


def _spelt(value: object) -> object:
    """Return an integer as the string that means the same: inside there is one spelling.

    No float: most clients make binary ones of ``0.1``, and a signature covers what was written.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER:
        return str(value)
    return value


Quantity = Annotated[
    str,
    StringConstraints(pattern=QUANTITY, max_length=20),
    BeforeValidator(_spelt),
    Field(json_schema_extra={INT_OR_STRING: True}),
]
"""A Kubernetes quantity, for example ``500m``, ``2Gi`` or the integer 2."""
Decimal = Annotated[
    str,
    StringConstraints(pattern=DECIMAL, max_length=20),
    BeforeValidator(_spelt),
    Field(json_schema_extra={INT_OR_STRING: True}),
]
"""A non-negative decimal number, at most six places; a string unless whole: money is no float."""
GpuClass = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=63)]
"""A GPU model as a label value, for example ``nvidia-l40s`` or ``nvidia-rtx-4090``."""
Currency = Annotated[str, StringConstraints(pattern=CURRENCY, max_length=32)]
Message = Annotated[str, StringConstraints(max_length=1024)]
Reason = Annotated[str, StringConstraints(pattern=REASON, max_length=63)]
Digest = Annotated[str, StringConstraints(pattern=SHA256, max_length=71)]
Timestamp = Annotated[
    str, Field(json_schema_extra={"format": "date-time", "pattern": group.TIME}, max_length=40)
]
Assurance = Literal["L0", "L1", "L2", "L3", "L4"]
"""L0 declared … L4 hardware evidence."""
KindOfWork = Literal["Batch", "FineTune", "Inference"]
KINDS_OF_WORK: tuple[KindOfWork, ...] = get_args(KindOfWork)


class Model(BaseModel):
    """Base of every API model: camelCase on the wire, unknown fields refused, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class Condition(Model):
    """One observed fact about an object, in the shape of ``metav1.Condition``."""

    model_config = ConfigDict(json_schema_extra=keyed("type"))

    type: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="What the condition is about, for example Placed."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Reason = Field(description="Why, as one word shared with events and metrics.")
    message: Message = Field(default="", description="Why, as a sentence for a person.")
    last_transition_time: Timestamp = Field(description="When status last changed (RFC 3339).")
    observed_generation: int = Field(
        default=0, ge=0, description="The spec generation this was observed for."
    )


class PriceParts(Model):
    """What an hour costs whoever offers it, as decimal strings."""

    energy: Decimal = Field(default="0", description="Power and cooling.")
    depreciation: Decimal = Field(default="0", description="Wear of the machines.")
    operation: Decimal = Field(default="0", description="People, rooms, networks.")


SINCE_EVER = "1970-01-01T00:00:00Z"


class GpuPrice(Model):
    """What one GPU of a class costs for an hour, from a moment on."""

    model_config = ConfigDict(json_schema_extra=keyed("gpuClass", "validFrom"))

    gpu_class: GpuClass = Field(description="GPU class the price is for.")
    per_gpu_hour: Decimal = Field(description="Price of one GPU for one hour, as a decimal string.")
    valid_from: Timestamp = Field(
        default=SINCE_EVER,
        description="From when on; until the next one of the class. A run pays the price that was"
        " valid when it began: leave old prices here.",
    )
    watts: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="What one GPU draws under load with its share of the machine, as its member"
        " declares: quotes of energy rest on it.",
    )
    parts: PriceParts | None = Field(
        default=None, description="What the price is made of; needed with priceMode CostRecovery."
    )


class GpuInventory(Model):
    """How many GPUs of a class a node has."""

    gpu_class: GpuClass = Field(description="GPU class.")
    memory: Quantity | None = Field(default=None, description="Of one GPU; absent: not known.")
    total: int = Field(ge=0, le=1_000_000, description="GPUs that exist and are lent.")
    allocated: int = Field(default=0, ge=0, le=1_000_000, description="GPUs held by jobs now.")
    busy: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="GPUs on which a kernel was resident when the exporters were last asked;"
        " absent where they do not tell.",
    )


class MachineShape(Model):
    """Machines of one kind: the histogram a gang is fitted against."""

    machines: int = Field(ge=0, le=1_000_000, description="How many such machines.")
    gpu_class: Annotated[str, StringConstraints(max_length=63)] = Field(
        default="", description="GPU class in each; empty when the machine has none."
    )
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs in each.")
    gpu_memory: Quantity | None = Field(default=None, description="Of one GPU; absent: not known.")
    cpu: Quantity = Field(description="Allocatable CPU of each.")
    memory: Quantity = Field(description="Allocatable memory of each.")
