"""Where data may be processed, as a user writes it.

Two separate tests: where the machine stands, and whose law reaches its operator. Deny wins over
allow. Nothing here has a default: who means everywhere writes ``World``.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from hansa.api.meta import Model, Name, Place, Rule, checked, keyed, rule


class PlaceRule(Model):
    """A set of places: everything under ``allow`` but nothing under ``deny``."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.deny) || !('World' in self.deny)",
                "denying World leaves nowhere to run; name the places to refuse",
                field_path=".deny",
            ),
            rule(
                "!has(self.deny) || !self.allow.exists(place, place in self.deny)",
                "a place is both allowed and denied; deny wins, so take it out of one list",
                field_path=".deny",
            ),
        )
    )

    allow: tuple[Place, ...] = Field(
        min_length=1, max_length=64, description="Places that are allowed; World for everywhere."
    )
    deny: tuple[Place, ...] = Field(
        default=(), max_length=64, description="Places that are refused; wins over allow."
    )


class Residency(Model):
    """Both tests of residency."""

    location: PlaceRule = Field(description="Where the machines may physically stand.")
    legal_control: PlaceRule = Field(
        description="Whose law may reach the operator: every jurisdiction it declares must pass.",
    )


class Overlay(Model):
    """A named list of places that a pool defines, for example an adequacy list."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Used as overlay/NAME in residency rules of this pool.")
    places: tuple[Place, ...] = Field(
        min_length=1, max_length=256, description="Places the overlay stands for."
    )


def nested_overlays_exist(whose: str) -> Rule:
    """Return the rule for a spec with ``overlays`` that none of them names one which is not there."""
    return rule(
        "self.overlays.all(o, o.places.all(p, !p.startsWith('overlay/') ||"
        " self.overlays.exists(inner, 'overlay/' + inner.name == p)))",
        f"overlays[].places names an overlay that overlays[] of the {whose} does not define",
        field_path=".overlays",
    )
