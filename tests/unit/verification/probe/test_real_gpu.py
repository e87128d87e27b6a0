"""A real GPU multiplies exactly, through what the image has, and the answer says through what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hansa.verification.probe.prover import matrix, multiply

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="no NVIDIA driver here"),
]


@pytest.mark.parametrize("n", [64, 100, 2_048], ids=str)
def test_the_product_is_exact(n):
    a, b = (matrix(b"x" * 16, label, n) for label in (b"A", b"B"))
    product, backend = multiply(a, b)
    assert backend in {"torch", "cupy", "numpy"}
    assert np.array_equal(product, a.astype(np.int64) @ b.astype(np.int64))
