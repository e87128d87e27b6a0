"""A process's settings from its environment; a wrong one is told by its variable, and what to do."""

from __future__ import annotations

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from hansa.api.texts import in_words

Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings]) -> Settings:
    """Return the settings; where one cannot be used, end the process with a line for each."""
    try:
        return kind()
    except ValidationError as error:
        rows = error.errors(include_url=False, include_input=False)
        lines = [f"{_variable(kind, row['loc'])}: {in_words(row)}" for row in rows]
    except SettingsError as error:
        hint = 'a list is written as JSON, for example ["north", "south"]'
        lines = [f"{kind.model_config.get('env_prefix', '')}*: {error}; {hint}"]
    sys.exit("cannot run; set right in the environment:\n  " + "\n  ".join(lines))


def _variable(kind: type[BaseSettings], location: tuple[int | str, ...]) -> str:
    between = kind.model_config.get("env_nested_delimiter") or "__"
    path = between.join(str(part) for part in location)
    return (str(kind.model_config.get("env_prefix") or "") + path).upper()
