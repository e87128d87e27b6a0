"""What is told of a text, or another value, that is not as it must be: words, and never the pattern alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import core_schema

from hansa.api.meta import PATTERN_ADVICE


@dataclass(frozen=True, slots=True)
class Written:
    """Metadata of a text in a file or setting that people write: ``Annotated[str, Written(pattern, advice)]``."""

    pattern: str
    advice: str
    """What it must be, with an example."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Check the text after it was found to be one."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell schemas of it."""
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(self.advice)
        return text


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong with an object, as ``field: what is wrong``."""
    fault = error.errors(include_url=False, include_input=False)[0]
    # A text that is no JSON has no fields.
    none = "" if fault["type"] == "json_invalid" else "spec"
    field = ".".join(map(str, fault["loc"])) or none
    return f"{field}{': ' if field else ''}{in_words(fault)}"[:500]


def in_words(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with one value, as pydantic tells it, without its field."""
    pattern = str((fault.get("ctx") or {}).get("pattern"))
    return PATTERN_ADVICE.get(pattern) or str(fault["msg"]).removeprefix("Value error, ")
