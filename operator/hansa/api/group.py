"""The API group's names, apart from the models: a command that only lists need not build any."""

GROUP = "hansa.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
