"""The API group's names, and what a time looks like in it, apart from the models: a command that only lists need not build any."""

GROUP = "hansa.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_HOUR_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
TIME = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_HOUR_MINUTE}:[0-5][0-9](\.[0-9]+)?(Z|[+-]{_HOUR_MINUTE})$"
"""RFC 3339 in upper case, with its zone; no leap second, which no clock here knows."""
