"""What a plan is worth: the one figure that plans, peers, bounds and brute force are compared by.

Per GPU of a placed job: 1,000, plus its priority, minus up to 100 for the price of the site. Each
GPU inside an institution's nominal share is worth another 1,000, so that no plan gains by letting
one institution borrow what another is entitled to. Work without GPUs counts as one GPU.
"""

from __future__ import annotations

PLAIN_GPU = 1000
PRICE_SPAN = 100.0
"""What the dearest site costs against a free one."""
NOMINAL_GPU = 1000
"""Worth of a GPU inside a nominal share, on top."""


def gpu_value(priority: int) -> int:
    """Worth of one GPU of a job, before price."""
    return PLAIN_GPU + priority


def units(gpus: int) -> int:
    """GPUs that a gang counts for."""
    return max(1, gpus)
