"""``hansa bundle``: one archive with charts and images, to install from where there is no network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hansa.cli.bundling import archive
from hansa.cli.bundling.contents import Image, chart_images, extra_image
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
    "--folder",
    type=FOLDER,
    default=".",
    help="Where images lie, below images/, as the printed commands put them.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The archive to write."
)
@click.option("--verify", "checked", type=FILE, metavar="ARCHIVE", help="Check an archive instead.")
def bundle(
    *,
    charts: Path,
    hub_values: Path | None,
    member_values: Path | None,
    more: tuple[str, ...],
    folder: Path,
    output: Path | None,
    checked: Path | None,
) -> None:
    """List every chart and image by digest, and make one archive of them.

    A chart takes part when its values are given. Images are not pulled: those that lie in the folder are
    checked and put in, and of the others the commands that make them are printed.
    """
    if checked is not None:
        _verify(checked)
        return
    chosen = [charts / n for n, v in zip(CHARTS, (hub_values, member_values), strict=True) if v]
    if not chosen:
        raise click.UsageError("give --hub-values, --member-values or both, or --verify ARCHIVE")
    absent = [chart for chart in chosen if not (chart / "Chart.yaml").is_file()]
    if absent:
        raise click.UsageError(f"there is no chart in {absent[0]}; give --charts FOLDER")
    given = [path for path in (hub_values, member_values) if path]
    found = [i for c, v in zip(chosen, given, strict=True) for i in chart_images(c, v)]
    images = list(dict.fromkeys([*found, *map(extra_image, more)]))
    for image in images:
        click.echo(f"{image.source}@{image.digest}")
    missing = [image for image in images if not (folder / image.file).is_file()]
    if output is not None:
        archive.write(output, chosen, images, folder)
        click.echo(f"{output}: {len(chosen)} charts, {len(images) - len(missing)} images")
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
        click.echo(f"missing: {image.source}@{image.digest}")
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
