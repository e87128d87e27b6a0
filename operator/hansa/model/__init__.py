"""What the core reasons about: frozen dataclasses without any Kubernetes shape.

Integers everywhere: bytes, thousandths of a CPU, millionths of a currency unit, seconds.
"""
