"""Pictures of a simulation: utilisation, queue and shares over time, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Series = Mapping[str, Sequence[float]]
SIZE_INCHES = (9.0, 6.5)


def draw(runs: Mapping[str, Series], folder: Path, *, title: str) -> list[Path]:
    """One overview of all policies, and the shares of each; returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    slug = title.replace(" ", "-").replace(".", "_")
    written = _save(_overview(runs, title), folder / f"{slug}-overview")
    for name, columns in sorted(runs.items()):
        written += _save(_shares(columns, f"{name}, {title}"), folder / f"{slug}-shares-{name}")
    return written


def _overview(runs: Mapping[str, Series], title: str) -> Figure:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    figure.suptitle(f"{title} (Philly demand; residency is synthetic)")
    use: Axes = figure.add_subplot(2, 1, 1)
    queue: Axes = figure.add_subplot(2, 1, 2, sharex=use)
    for name, columns in sorted(runs.items()):
        days = [hours / 24 for hours in columns["hours"]]
        use.plot(days, columns["utilisation"], label=name, linewidth=0.8)
        queue.plot(days, columns["queued"], label=name, linewidth=0.8)
    use.set(ylabel="share of GPUs in use", ylim=(0, 1.02))
    queue.set(ylabel="jobs waiting", xlabel="days")
    queue.set_yscale("symlog")
    use.legend(loc="lower left", ncols=4)
    return figure


def _shares(columns: Series, title: str) -> Figure:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes: Axes = figure.add_subplot()
    names = [name for name in columns if name.startswith("gpus:") and any(columns[name])]
    axes.stackplot(
        [hours / 24 for hours in columns["hours"]],
        [columns[name] for name in names],
        labels=[name.removeprefix("gpus:") for name in names],
    )
    axes.set(title=title, xlabel="days", ylabel="GPUs in use by institution")
    if names:
        axes.legend(loc="upper left", fontsize="small", ncols=2)
    return figure


def _save(figure: Figure, stem: Path) -> list[Path]:
    FigureCanvasAgg(figure)
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, dpi=110)
    return paths
