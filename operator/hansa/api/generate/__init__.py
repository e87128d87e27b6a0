"""Turns the models into what is generated from them: ``crds/``, admission rules, the page of fields."""
