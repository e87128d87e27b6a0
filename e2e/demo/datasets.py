"""The demo's data: real, public, bundled with scikit-learn, placed on the members' own volumes."""

from __future__ import annotations

import io

import numpy as np


def breast_cancer_csv() -> bytes:
    """Return the Wisconsin diagnostic breast cancer set: 569 rows, 30 features, label last."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415  # two seconds that `down` does not need

    bunch = load_breast_cancer()
    return _csv(bunch.data, bunch.target, [name.replace(" ", "_") for name in bunch.feature_names])


def digits_csv() -> bytes:
    """Return the UCI handwritten digits set: 1,797 rows, 64 features, label last."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  # as above

    bunch = load_digits()
    return _csv(bunch.data, bunch.target, list(bunch.feature_names))


def _csv(features: np.ndarray, labels: np.ndarray, names: list[str]) -> bytes:
    out = io.StringIO()
    table = np.column_stack([features, labels])
    np.savetxt(
        out, table, delimiter=",", fmt="%.8g", header=",".join([*names, "label"]), comments=""
    )
    return out.getvalue().encode()
