"""``hansa bundle``: one archive with charts and images, to install from where there is no network."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hansa.cli.bundling import archive
from hansa.cli.bundling.charts import own_chart, packed_chart
from hansa.cli.bundling.contents import Image, chart_images, extra_image, image_of
from hansa.errors import Terminal

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
CHARTS = ("hansa-hub", "hansa-member")


@click.command
@click.option(
    "--charts",
    type=click.Path(path_type=Path),
    default="helm",
    help="Folder with the charts.",
)
@click.option("--hub-values", type=FILE, help="Values that the hub is installed with.")
@click.option("--member-values", type=FILE, help="Values that the member is installed with.")
@click.option(
    "--image",
    "more",
    multiple=True,
    metavar="NAME@sha256:…",
    help="One more image: KubeRay's operator, images of jobs. Several times.",
)
@click.option(
    "--chart",
    "others",
    multiple=True,
    type=FILE,
    metavar="FILE.tgz",
    help="One more chart, as `helm pull` leaves it: KubeRay's operator. Several times.",
)
@click.option(
    "--folder",
    type=FOLDER,
    default=".",
    help="Where images lie, below images/, as the printed commands put them.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The archive to write."
)
@click.option("--verify", "checked", type=FILE, metavar="ARCHIVE", help="Check an archive instead.")
def bundle(*, checked: Path | None, **asked: Any) -> None:
    """List every chart and image by digest, and make one archive of them.

    A chart takes part when its values are given. Images are not pulled: those that lie in the folder are
    checked and put in, and of the others the commands that make them are printed.
    """
    if checked is not None:
        _verify(checked)
        return
    _make(Wanted(**asked))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an archive is made of, as the options say."""

    charts: Path
    hub_values: Path | None
    member_values: Path | None
    more: tuple[str, ...]
    others: tuple[Path, ...]
    folder: Path
    output: Path | None

    def own(self) -> list[tuple[Path, Path]]:
        """Return the charts that take part, with their values."""
        given = zip(CHARTS, (self.hub_values, self.member_values), strict=True)
        chosen = [(self.charts / name, values) for name, values in given if values]
        if not chosen:
            raise click.UsageError(
                "give --hub-values, --member-values or both, or --verify ARCHIVE"
            )
        absent = [chart for chart, _ in chosen if not (chart / "Chart.yaml").is_file()]
        if absent:
            raise click.UsageError(f"there is no chart in {absent[0]}; give --charts FOLDER")
        return chosen


def _make(wanted: Wanted) -> None:
    own = wanted.own()
    found = [image for chart, values in own for image in chart_images(chart, values)]
    named = [extra_image(one) for one in wanted.more]
    others = [packed_chart(one) for one in wanted.others]
    found += [image_of(image, named) for _, image in others]
    images = list(dict.fromkeys([*found, *named]))
    charts = [*(own_chart(chart) for chart, _ in own), *(chart for chart, _ in others)]
    for line in (*(one.named for one in charts), *(one.named for one in images)):
        click.echo(line)
    missing = [image for image in images if not (wanted.folder / image.file).is_file()]
    if wanted.output is not None:
        archive.write(wanted.output, charts, images, wanted.folder)
        there = len(images) - len(missing)
        click.echo(f"{wanted.output}: {len(charts)} charts, {there} images")
    _tell_missing(missing)


def _tell_missing(missing: list[Image]) -> None:
    if missing:
        click.echo(
            f"{len(missing)} images are not there. These commands add them; then run it again:"
        )
        click.echo("  mkdir -p images")
    for image in missing:
        click.echo(f"  {image.pull}")


def _verify(path: Path) -> None:
    found = archive.verify(path)
    for wrong in found.wrong:
        click.echo(f"wrong: {wrong}")
    for image in found.missing:
        click.echo(f"missing: {image.named}")
    if found.wrong:
        raise Terminal(f"{path} is not as it was made: do not install from it")
    with path.open("rb") as file:
        click.echo(f"{archive.digest_of(file)}  {path}")
    if found.missing:
        click.echo(f"{len(found.missing)} images have to come by another way")
        sys.exit(1)
    click.echo(f"{found.files} files are as they were made; into the registry they go by")
    for image in found.images:
        click.echo(f"  {image.push}")
