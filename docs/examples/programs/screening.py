"""Cross-validates a family of classifiers on a data set that stays where it is.

Runs as the driver of a Ray job. Reads ``/data/NAME/*.csv`` (last column: label), fans one task per
model and fold out to the workers, and writes a few numbers to ``$HANSA_RESULT``: the only thing
that leaves, and only if the member's policy exports results.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import ray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FAMILY = {
    "logistic-regression": lambda: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=500)
    ),
    "random-forest-50": lambda: RandomForestClassifier(n_estimators=50, random_state=0),
}


def load(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n × d) and labels (n) of a mounted data set."""
    table = np.loadtxt(next(Path("/data", dataset).glob("*.csv")), delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1].astype(int)


@ray.remote(num_cpus=0.5)
def score(
    model: str, train: np.ndarray, test: np.ndarray, xy: tuple[np.ndarray, np.ndarray]
) -> tuple[str, float, str]:
    """Fit one model on one fold; return its name, accuracy and the Ray node that did it."""
    features, labels = xy
    fitted = FAMILY[model]().fit(features[train], labels[train])
    return (
        model,
        float(fitted.score(features[test], labels[test])),
        ray.get_runtime_context().get_node_id(),
    )


def main() -> None:
    """Run the study and declare its result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1, help="repeat with other shuffles")
    options = parser.parse_args()
    ray.init(address="auto")
    xy = ray.put(load(options.dataset))
    features, labels = ray.get(xy)
    tasks = []
    for seed in range(options.rounds):
        folds = StratifiedKFold(options.folds, shuffle=True, random_state=seed)
        for train, test in folds.split(features, labels):
            tasks += [score.remote(model, train, test, xy) for model in FAMILY]
    outcomes = ray.get(tasks)
    accuracy = {
        model: round(float(np.mean([a for name, a, _ in outcomes if name == model])), 4)
        for model in FAMILY
    }
    best = max(accuracy, key=accuracy.__getitem__)
    result = {
        "accuracy": accuracy[best],
        "model": best,
        "samples": len(labels),
        "fits": len(outcomes),
        "workers": len({node for _, _, node in outcomes}),
    }
    Path(os.environ["HANSA_RESULT"]).write_text(json.dumps(result))
    print(json.dumps(result))  # noqa: T201  # the driver's log is what its owner reads


if __name__ == "__main__":
    main()
