"""What a place is: one check for jobs, nodes, pools and policies, in the models and by pattern."""

import re
from itertools import product
from string import ascii_uppercase

import pycountry
import pytest
from pydantic import TypeAdapter, ValidationError

from hansa.api import places
from hansa.api.meta import (
    COUNTRY_OR_REGION,
    COUNTRY_REGION_OR_BLOC,
    PLACE,
    Jurisdiction,
    JurisdictionOrBloc,
    Place,
)
from hansa.api.texts import first_fault

KINDS = {
    "jurisdiction": (TypeAdapter(Jurisdiction), COUNTRY_OR_REGION),
    "or bloc": (TypeAdapter(JurisdictionOrBloc), COUNTRY_REGION_OR_BLOC),
    "place": (TypeAdapter(Place), PLACE),
}
LETTERS = [a + b for a, b in product(ascii_uppercase, repeat=2)]


def said(kind, code):
    """What the model of a kind of place says of a code; nothing when it takes it."""
    try:
        KINDS[kind][0].validate_python(code)
    except ValidationError as error:
        return first_fault(error)
    return ""


def test_countries_are_those_that_iso_has_assigned():
    assert {country.alpha_2 for country in pycountry.countries} == places.COUNTRIES


@pytest.mark.parametrize("kind", KINDS)
def test_the_pattern_of_the_api_server_and_the_model_know_the_same_countries_and_blocs(kind):
    pattern = re.compile(KINDS[kind][1])
    codes = [*LETTERS, *places.BLOCS, "ee", "EST", "Estonia", "", "overlay/a", "overlay/A"]

    taken = {code for code in codes if said(kind, code) == ""}
    assert taken == {code for code in codes if pattern.search(code)}
    assert taken >= places.COUNTRIES


@pytest.mark.parametrize("kind", KINDS)
def test_every_region_of_iso_passes_both(kind):
    pattern = re.compile(KINDS[kind][1])

    for region in (subdivision.code for subdivision in pycountry.subdivisions):
        assert pattern.search(region), region
        assert said(kind, region) == ""


MISTAKES = {
    ("jurisdiction", "UK"): "there is no place UK; write GB",
    ("jurisdiction", "UK-SCT"): "there is no place UK-SCT; write GB-SCT",
    ("or bloc", "EL"): "there is no place EL; write GR",
    ("place", "UK"): "there is no place UK; write GB",
    ("jurisdiction", "EE-ZZ"): "there is no place EE-ZZ; did you mean EE-",
    ("place", "PT-1l"): "there is no place PT-1l; did you mean PT-1",
    ("place", "EE-OOO"): "there is no place EE-OOO; did you mean EE",
    ("place", "Nordics"): "there is no place Nordics; did you mean Nordic",
    ("or bloc", "EUU"): "there is no place EUU; did you mean EU",
    ("jurisdiction", "Estonia"): "there is no place Estonia; write EE",
    ("place", "prt"): "there is no place prt; write PT",
    ("or bloc", "eu"): "there is no place eu; write EU",
    ("place", "WORLD"): "there is no place WORLD; write World",
    ("place", "*"): "there is no place *; write World",
    ("place", "us-ca"): "there is no place us-ca; write US-CA",
    ("jurisdiction", "PT_11"): "there is no place PT_11; write PT-11",
    ("jurisdiction", "EE-37 "): "there is no place EE-37 ; write EE-37",
    ("or bloc", "Europe"): "there is no place Europe; write EU, EEA or a country of it",
    ("jurisdiction", "England"): "there is no place England; write GB or GB-ENG",
    ("jurisdiction", "Deutschland"): "there is no place Deutschland; write DE",
    ("jurisdiction", "Turkey"): "there is no place Turkey; write TR",
    ("place", "XK"): "there is no place XK: ISO 3166 has assigned no code to Kosovo",
    ("place", "QQQQQQ"): "there is no place QQQQQQ",
    ("jurisdiction", "EU"): "EU is a bloc; name the country or region",
    ("jurisdiction", "World"): "World is a bloc; name the country or region",
    ("jurisdiction", "overlay/a"): "there is no place overlay/a",
    ("or bloc", "overlay/a"): "there is no place overlay/a",
}


@pytest.mark.parametrize("case", MISTAKES, ids=" ".join)
def test_a_mistake_is_told_with_what_to_write_instead(case):
    assert said(*case).removeprefix("spec: ").startswith(MISTAKES[case])


def test_what_is_advised_exists():
    """A country, a region or a bloc in all that is said of names in other words."""
    for advice in (*places.ALSO_CALLED.values(), *places.MISTAKEN.values()):
        named = re.findall(r"\b[A-Z]{2,3}(?:-[A-Z]+)?\b|World", advice)
        assert named, advice
        assert all(map(places.is_known, set(named) - {"EUR"})), advice


def _shape(regions):
    """How the regions of a country look, a length after the other."""
    found = []
    for length in sorted({*map(len, regions)}):
        some = [region for region in regions if len(region) == length]
        digits, letters = all(map(str.isdigit, some)), all(map(str.isalpha, some))
        kind = "[0-9]" if digits else "[A-Z]" if letters else "[A-Z0-9]"
        found.append(kind + (f"{{{length}}}" if length > 1 else ""))
    return "|".join(found)


def test_the_shapes_of_regions_are_those_of_iso():
    regions = {}
    for subdivision in pycountry.subdivisions:
        country, _, region = subdivision.code.partition("-")
        regions.setdefault(country, set()).add(region)
    shapes = {}
    for country, own in regions.items():
        shapes.setdefault(_shape(own), set()).add(country)
    assert shapes == places.REGION_SHAPES


NO_REGIONS = ("EE-ZZ", "PT-ZZ", "VA-1", "EE-1", "DE-12", "US-1A")


@pytest.mark.parametrize("code", NO_REGIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_region_that_looks_like_none_of_its_countrys_is_refused_at_apply(kind, code):
    assert not re.search(KINDS[kind][1], code)
    assert said(kind, code)
