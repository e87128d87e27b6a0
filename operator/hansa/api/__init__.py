"""What users write: one pydantic model per kind, the only source of ``crds/``.

This layer imports nothing of Hansa's other layers, performs no I/O and holds no decisions.
"""
