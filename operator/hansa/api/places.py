"""Which places exist and which lie inside which: world, blocs, countries, regions.

Membership decides where data may go, so it is written out here and not fetched. Countries are the
assigned ISO 3166-1 alpha-2 codes; regions are the ISO 3166-2 codes of ``pycountry``, each a child of
its country. Blocs hold full members only; territories with codes of their own (AX, GL, GP …) are
not their state's bloc members, because a wrong "inside" is worse than a wrong "outside".
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

WORLD = "World"
OVERLAY_PREFIX = "overlay/"


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


COUNTRIES = _codes(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO
    BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ
    DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP
    GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML
    MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE
    PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL
    SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM
    US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """
)

_EU = _codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
BLOCS: dict[str, frozenset[str]] = {
    "EU": _EU,
    "EEA": _EU | {"IS", "LI", "NO"},
    "Nordic": _codes("DK FI IS NO SE"),
    "Baltic": _codes("EE LV LT"),
    "Mercosur": _codes("AR BO BR PY UY"),
    "AfricanUnion": _codes(
        "DZ AO BJ BW BF BI CV CM CF TD KM CG CD CI DJ EG GQ ER SZ ET GA GM GH GN GW KE LS LR LY MG"
        " MW ML MR MU MA MZ NA NE NG RW EH ST SN SC SL SO ZA SS SD TZ TG TN UG ZM ZW"
    ),
    "ASEAN": _codes("BN KH ID LA MM MY PH SG TH TL VN"),
    "CARICOM": _codes("AG BS BB BZ DM GD GY HT JM KN LC MS SR TT VC"),
    WORLD: COUNTRIES,
}
"""Bloc → its countries, as of 2026. ``World`` is the bloc of all."""

REGION_SHAPES: dict[str, frozenset[str]] = {
    "[0-9]": _codes("AT GA NE"),
    "[0-9]{2}": _codes(
        """
        AD AG AL BB BG BH CU CY DK DM DO DZ FI GD GT HR IR JM JP KE KP KR KZ LC LI ME MM MR
        MT MY NO NR PL PT RW SA SC SG SM TN TO TR TZ UA UM VC ZM
        """
    ),
    "[0-9]{2}|[0-9]{3}": _codes("EE"),
    "[0-9]{2}|[A-Z0-9]{3}": _codes("CZ"),
    "[0-9]{2}|[A-Z]{3}": _codes("BF MA MV PH"),
    "[0-9]{3}": _codes("MK PW SI"),
    "[0-9]|[0-9]{2}": _codes("KH LK"),
    "[0-9]|[0-9]{2}|[A-Z]{3}": _codes("CG ML PY"),
    "[0-9]|[0-9]{3}": _codes("MN"),
    "[0-9]|[A-Z0-9]{2}": _codes("PA"),
    "[0-9]|[A-Z]{3}": _codes("IS"),
    "[A-Z0-9]{2}": _codes("BT IT LT NP RS VN"),
    "[A-Z0-9]{2}|[A-Z0-9]{3}": _codes("FR"),
    "[A-Z0-9]{3}": _codes("LV"),
    "[A-Z]": _codes("AR BO GM KI KM LS MG TG TM VE"),
    "[A-Z]{2}": _codes(
        """
        AE AM BI BJ BN BQ BR BS BW BY CA CD CH CI CL CM CN DE DJ ER ET GE GH GL GY HN HT HU
        ID IN IQ JO KW LA LB LR LU LY MC MD MU NA NG NI OM PK QA SB SD SH SK SN SO SR SS SV
        SY SZ TD TJ TL US UY UZ WF WS YE ZW
        """
    ),
    "[A-Z]{2}|[A-Z0-9]{3}": _codes("NL"),
    "[A-Z]{2}|[A-Z]{3}": _codes("AU AZ BZ CF CO RU ZA"),
    "[A-Z]{3}": _codes("AF AO BA BE FM GB MX NZ PE PG PS TT TV TW VU"),
    "[A-Z]|[0-9]{2}": _codes("BD FJ GR KN ST TH"),
    "[A-Z]|[0-9]{3}": _codes("UG"),
    "[A-Z]|[A-Z]{2}": _codes("CR CV EC ES GN GQ GW IE IL KG MW RO SE SL"),
    "[A-Z]|[A-Z]{2}|[A-Z]{3}": _codes("EG"),
    "[A-Z]|[A-Z]{3}": _codes("MH MZ"),
}
"""What follows the hyphen of a region → the countries whose regions look like that.

The API server is given this much: of five thousand regions a pattern would be too long for it.
"""

MISTAKEN = {"UK": "GB", "EL": "GR"}
"""What people write for a country → its ISO code. EU documents write both."""
ALSO_CALLED = {
    "europe": "EU, EEA or a country of it",
    "eu27": "EU",
    "eur": "EU, which is a bloc; EUR is its currency",
    "european union": "EU",
    "global": WORLD,
    "anywhere": WORLD,
    "any": WORLD,
    "*": WORLD,
    "england": "GB or GB-ENG",
    "scotland": "GB or GB-SCT",
    "wales": "GB or GB-WLS",
    "great britain": "GB",
    "holland": "NL",
    "turkey": "TR",
    "deutschland": "DE",
    "schweiz": "CH",
    "suisse": "CH",
    "österreich": "AT",
    "españa": "ES",
    "eesti": "EE",
    "suomi": "FI",
    "sverige": "SE",
    "norge": "NO",
    "danmark": "DK",
    "latvija": "LV",
    "lietuva": "LT",
    "polska": "PL",
    "italia": "IT",
    "brasil": "BR",
}
"""What people call a place, in small letters → what to write; names in English are pycountry's."""
UNASSIGNED = {"XK": "ISO 3166 has assigned no code to Kosovo, so no rule can name it"}
"""Codes in use that ISO has not assigned: no rule could say whose they are."""


def _code_of(name: str) -> str:
    """Return the code of a country written by its name or three letters; empty: it is neither.

    >>> _code_of("Estonia"), _code_of("EST"), _code_of("ee")
    ('EE', 'EE', 'EE')
    """
    from pycountry import countries  # noqa: PLC0415  # see ``_regions``

    try:
        return str(countries.lookup(name.strip()).alpha_2)
    except LookupError:
        return ""


@cache
def _regions() -> dict[str, tuple[str, ...]]:
    """Country → its regions, read at the first question about one."""
    from pycountry import subdivisions  # noqa: PLC0415  # a tenth of a second that few commands need

    found: dict[str, list[str]] = {}
    for region in sorted(subdivision.code for subdivision in subdivisions):
        found.setdefault(country_of(region), []).append(region)
    return {country: tuple(codes) for country, codes in found.items()}


def country_of(jurisdiction: str) -> str:
    """Return the country of a country or region code.

    >>> country_of("PT-11")
    'PT'
    """
    return jurisdiction.partition("-")[0]


def is_jurisdiction(place: str) -> bool:
    """Whether ``place`` is a country, or a region of one."""
    return place in COUNTRIES or ("-" in place and place in _regions().get(country_of(place), ()))


def is_known(place: str) -> bool:
    """Whether ``place`` is a jurisdiction or a bloc (overlays are known to their pool only)."""
    return place in BLOCS or is_jurisdiction(place)


def lineage(jurisdiction: str) -> frozenset[str]:
    """A jurisdiction, its country, and every bloc around it."""
    country = country_of(jurisdiction)
    return frozenset({jurisdiction, country}) | {
        b for b, members in BLOCS.items() if country in members
    }


def unknown(place: str, also: frozenset[str] = frozenset()) -> str:
    """Return that ``place`` does not exist, and what to write instead.

    ``also``: names that would be right beside jurisdictions and blocs.

    >>> unknown("UK")
    'there is no place UK; write GB'
    """
    country = country_of(place)
    if country in MISTAKEN:
        return f"there is no place {place}; write {MISTAKEN[country]}{place[len(country) :]}"
    if country in UNASSIGNED:
        return f"there is no place {place}: {UNASSIGNED[country]}"
    named = ALSO_CALLED.get(place.strip().casefold()) or _as_written(place, also) or _code_of(place)
    if named:
        return f"there is no place {place}; write {named}"
    near = _nearest(place, also)
    return f"there is no place {place}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _as_written(place: str, also: frozenset[str]) -> str:
    """Return the place that differs in capitals, spaces or the dash alone; empty: there is none.

    >>> _as_written("eu", frozenset()), _as_written("us_ca ", frozenset())
    ('EU', 'US-CA')
    """
    text = place.strip().replace("_", "-").replace("\u2013", "-")
    for name in (*BLOCS, *sorted(also)):
        if name.casefold() == text.casefold():
            return name
    return text.upper() if is_jurisdiction(text.upper()) else ""


def _nearest(place: str, also: frozenset[str]) -> list[str]:
    """Up to three known places whose names are nearest to a misspelt one."""
    country, _, region = place.partition("-")
    if region and country in COUNTRIES:
        return get_close_matches(place, _regions().get(country, ()), n=3, cutoff=0.5) or [country]
    known = sorted(BLOCS) + sorted(COUNTRIES) + sorted(also)
    folded = {name.casefold(): name for name in reversed(known)}
    return [folded[name] for name in get_close_matches(place.casefold(), folded, n=3, cutoff=0.5)]
