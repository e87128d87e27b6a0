"""The generator: what is committed is what it makes, and it refuses what it cannot express."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from hansa.api.aijob import AIJobSpec
from hansa.api.generate import schema
from hansa.api.generate.extras import EXTRAS
from hansa.api.generate.structural import UnsupportedSchemaError, structural_schema
from hansa.api.kinds import AIJOB, KINDS, MEMBERPOLICY
from hansa.api.meta import DNS_LABEL, OPAQUE, PATTERN_ADVICE, Quantity, keyed
from hansa.grants.authorization import work
from tests.apiserver.crds.bases import BASES

ROOT = Path(__file__).parents[2]
FILES = {str(path): (path, text) for path, text in schema.files().items()}


@pytest.mark.parametrize(("path", "text"), FILES.values(), ids=FILES)
def test_the_committed_file_is_the_generated_one(path: Path, text: str):
    assert (ROOT / path).read_text() == text, (
        "run: python -m hansa.api.generate.schema --write crds"
    )


def test_no_definition_without_a_kind():
    known = {f"{kind.plural}.yaml" for kind in KINDS}

    found = {path.name for path in ROOT.glob("**/crds/*.yaml") if ".venv" not in path.parts}

    assert found == known


def test_printed_and_written_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert schema.main([]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))

    assert schema.main(["--write", str(tmp_path / "crds")]) == 0

    written = [yaml.safe_load((tmp_path / "crds" / f"{k.plural}.yaml").read_text()) for k in KINDS]
    assert printed == written
    assert (tmp_path / "helm/hansa-member/files/crds" / f"{MEMBERPOLICY.plural}.yaml").exists()


def test_every_kind_has_extras():
    assert set(EXTRAS) == {kind.name for kind in KINDS}


class Item(BaseModel):
    """An item."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Annotated[str, StringConstraints(max_length=5)] = Field(description="Name.")


class Whole(BaseModel):
    """All shapes that occur."""

    names: tuple[Annotated[str, StringConstraints(max_length=3)], ...] = Field(
        default=(), max_length=2, description="A set."
    )
    items: tuple[Item, ...] = Field(default=(), max_length=2, description="A map.")
    maybe: int | None = Field(default=None, ge=1, description="Optional.")
    nested: Item = Field(default=Item(name="a"), description="Nested.")


def test_the_structural_form():
    assert structural_schema(Whole) == {
        "description": "All shapes that occur.",
        "type": "object",
        "properties": {
            "names": {
                "description": "A set.",
                "type": "array",
                "maxItems": 2,
                "default": [],
                "items": {"type": "string", "maxLength": 3},
                "x-kubernetes-list-type": "set",
            },
            "items": {
                "description": "A map.",
                "type": "array",
                "maxItems": 2,
                "default": [],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"description": "Name.", "type": "string", "maxLength": 5}
                    },
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "maybe": {
                "description": "Optional.",
                "type": "integer",
                "format": "int64",
                "minimum": 1,
            },
            "nested": {
                "description": "Nested.",
                "type": "object",
                "default": {"name": "a"},
                "required": ["name"],
                "properties": {"name": {"description": "Name.", "type": "string", "maxLength": 5}},
            },
        },
    }


class Union(BaseModel):
    value: int | str


class Open(BaseModel):
    value: dict[str, str]


class Undescribed(BaseModel):
    value: Annotated[str, StringConstraints(pattern="^novel$", max_length=9)]


class Multiple(BaseModel):
    value: Annotated[int, Field(multiple_of=3)]


REFUSED = {
    "a union": (Union, r"\.value: a union"),
    "an open object": (Open, r"\.value: an object without named fields"),
    "a pattern without advice": (Undescribed, r"no advice for the pattern \^novel\$"),
    "a keyword it does not know": (Multiple, r"multipleOf.* has no structural form"),
}


@pytest.mark.parametrize(("model", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_expressed_is_refused(model: type[BaseModel], message: str):
    with pytest.raises(UnsupportedSchemaError, match=message):
        structural_schema(model)


class Costly(BaseModel):
    """A pattern far down in lists."""

    value: tuple[Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)], ...] = Field(
        max_length=100_000
    )


class Cheap(BaseModel):
    """The same, once."""

    value: Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)]


def test_a_pattern_becomes_a_rule_with_advice_where_the_server_can_afford_it():
    cheap = structural_schema(Cheap)["properties"]["value"]
    costly = structural_schema(Costly)["properties"]["value"]["items"]

    assert cheap["x-kubernetes-validations"][0]["message"] == PATTERN_ADVICE[DNS_LABEL]
    assert "pattern" not in cheap
    assert costly["pattern"] == DNS_LABEL


def test_a_kind_for_programs_keeps_its_patterns():
    schema = structural_schema(Cheap, for_people=False)["properties"]["value"]

    assert schema["pattern"] == DNS_LABEL
    assert "x-kubernetes-validations" not in schema


class Sealed(BaseModel):
    """Holds what others have signed."""

    letter: Whole = Field(description="Unread.", json_schema_extra=OPAQUE)


def test_what_is_opaque_has_no_inside():
    assert structural_schema(Sealed)["properties"]["letter"] == {
        "description": "Unread.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-map-type": "atomic",
    }


def test_a_number_is_taken_where_kubernetes_takes_one():
    job = schema.custom_resource_definition(AIJOB)["spec"]["versions"][0]
    worker = job["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["ray"]
    cpu = worker["properties"]["workers"]["properties"]["cpu"]
    assert cpu["x-kubernetes-int-or-string"] is True
    assert "type" not in cpu


NUMBERS = {
    "an integer": (2, "2"),
    "a string": ("500m", "500m"),
    "the largest": (2**53 - 1, str(2**53 - 1)),
}
NO_QUANTITIES = {"a float": 0.5, "below zero": -1, "no number": True, "beyond JSON": 2**53}


@pytest.mark.parametrize(("written", "read"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_and_its_string_are_one_value(written: object, read: str):
    assert TypeAdapter(Quantity).validate_python(written) == read


@pytest.mark.parametrize("written", NO_QUANTITIES.values(), ids=NO_QUANTITIES)
def test_what_has_no_one_spelling_is_refused(written: object):
    with pytest.raises(ValidationError):
        TypeAdapter(Quantity).validate_python(written)


def test_a_signature_covers_what_is_asked_however_the_number_is_written():
    base = copy.deepcopy(BASES["AIJob"]["spec"])
    written = {}
    for cpu in (2, "2"):
        base["ray"]["workers"]["cpu"] = cpu
        written[type(cpu)] = work(AIJobSpec.model_validate(base))
    assert written[int] == written[str]
    assert written[int]["ray"]["workers"]["cpu"] == "2"
