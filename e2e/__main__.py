"""``python -m e2e``: bring a league of clusters up, look at it, take it down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from e2e.demo.run import PROVIDERS
from e2e.demo.run import demo as run_demo
from e2e.testbed.build.families import FAMILY_OF
from e2e.testbed.cluster.spec import LEAGUE, SiteSpec
from e2e.testbed.host.progress import Progress
from e2e.testbed.host.signals import exit_on_signals
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains, tear_down
from e2e.testbed.providers.kind import KindTestbed
from e2e.testbed.providers.local import LocalTestbed
from e2e.testbed.providers.provider import ProviderUnavailableError
from e2e.testbed.providers.simulated import NOTICE, SimulatedTestbed
from e2e.troubles.transcript import write as write_transcript

_SITES = [spec.name for spec in LEAGUE]
_NAME = click.option("--name", default="hansa", show_default=True, help="Name of the testbed.")


@click.group()
def main() -> None:
    """Real clusters on one machine."""
    exit_on_signals()


@main.command()
@_NAME
@click.option(
    "--provider",
    type=click.Choice(["local", "simulated", "kind"]),
    default="local",
    show_default=True,
    help="local: real pods, needs root; simulated: no root; kind: needs Docker.",
)
@click.option("--site", "sites", multiple=True, type=click.Choice(_SITES), help="Only these sites.")
def up(name: str, provider: str, sites: tuple[str, ...]) -> None:
    """Bring the clusters up and leave them running."""
    specs = [spec for spec in LEAGUE if not sites or spec.name in sites]
    try:
        testbed = _testbed(provider, name, specs)
        testbed.up()
    except ProviderUnavailableError as error:
        raise click.ClickException(str(error)) from error
    for site in testbed.sites.values():
        click.echo(f"export KUBECONFIG={site.kubeconfig}  # {site.spec.name}")


@main.command()
@click.option("--name", help="Name of the testbed; all by default.")
def down(name: str | None) -> None:
    """Remove every trace of the clusters, also after a crash."""
    progress = Progress()
    found = [s for s in state.load_all() if name in (None, s.name)]
    if not found:
        progress.note("nothing is up")
    for recorded in found:
        with progress.step(f"take {recorded.name} down"):
            if recorded.provider == "kind":
                KindTestbed(name=recorded.name, progress=progress).down()
            else:
                tear_down(recorded)
        if left := remains(recorded):
            raise click.ClickException("still there: " + ", ".join(left))


@main.command()
def prepare() -> None:
    """Find, download or build every program, as root every image too; say where programs came from."""
    testbed = LocalTestbed()
    testbed.binaries.ensure(*FAMILY_OF)
    for name, origin in testbed.binaries.origins.items():
        click.echo(f"{name}: {origin}")
    try:
        testbed.prepare()
    except ProviderUnavailableError as error:
        click.echo(f"no images: {error}")


@main.command()
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("docs/tutorials/troubles.md"),
    show_default=True,
    help="Where the transcript goes.",
)
def transcript(page: Path) -> None:
    """Bring troubles about in a league of real pods, and write down what the jobs' owners read."""
    try:
        write_transcript(page)
    except ProviderUnavailableError as error:
        raise click.ClickException(str(error)) from error


@main.command()
def status() -> None:
    """Say which clusters are recorded and what of them exists."""
    found = state.load_all()
    if not found:
        click.echo("nothing is up")
    for recorded in found:
        note = f" ({NOTICE})" if recorded.provider == "simulated" else ""
        click.echo(f"{recorded.name}: {recorded.provider}{note}, {recorded.folder}")
        kinds = [item.split()[0] for item in remains(recorded)]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        click.echo(f"  {counts}")


@main.command()
@_NAME
@click.option(
    "--provider",
    type=click.Choice(sorted(PROVIDERS)),
    default="local",
    show_default=True,
    help="local: real pods, needs root; simulated: pods are simulated, no root.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo-report.json"),
    show_default=True,
    help="Where the report goes.",
)
@click.option("--keep", is_flag=True, help="Leave the league running, and say what to try in it.")
def demo(name: str, report: Path, provider: str, keep: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Bring the league up, run its seven jobs, check the audit logs, take all down."""
    try:
        run_demo(report, provider, name=name, keep=keep)
    except ProviderUnavailableError as error:
        raise click.ClickException(str(error)) from error


def _testbed(
    provider: str, name: str, specs: Sequence[SiteSpec]
) -> LocalTestbed | SimulatedTestbed | KindTestbed:
    if provider == "kind":
        return KindTestbed(specs, name=name)
    if provider == "simulated":
        return SimulatedTestbed(specs, name=name, die_with_parent=False)
    return LocalTestbed(specs, name=name, die_with_parent=False)


if __name__ == "__main__":
    main()
