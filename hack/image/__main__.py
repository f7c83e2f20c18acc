"""The command line: `python -m hack.image build|save|release|wheels|install-packages`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from hack.image import builders, images, release, version, wheels
from hack.image.errors import ImageError, run
from hack.image.wheels import MACHINES, ROOT


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Builds the container image; docs/release.md describes it."""


@main.command()
@click.option("--registry", default="", help="Registry and folder in front of the name.  [default: localhost]")
@click.option("--base", default="", help="Image with Python.  [default: made from Debian's packages, where possible]")
@click.option("--arch", "arches", default="", help="Processors, separated by commas.  [default: this machine's]")
@click.option("--push", is_flag=True, help="Push what was built.")
@click.option("--compiled", default="auto", help="As for wheels.")
def build(registry: str, base: str, arches: str, push: bool, compiled: str) -> None:
    """Build the image of this checkout."""
    try:
        builder = builders.find()
        built = images.build(builder, (arches or builders.native()).split(","), registry, base, click.echo, compiled)
        for image in built:
            click.echo(f"{image.name}: linux/{image.arch}, {image.size / 1e6:.0f} MB")
        if push:
            click.echo(f"pushed {images.push(builder, built, registry)}")
    except ImageError as error:
        raise click.ClickException(str(error)) from error


@main.command("release")
@click.option("--registry", default="", help="Registry and folder in which the manifests look for the image.")
@click.option("--base", default="", help="As for build.")
@click.option("--arch", "arches", default="", help="As for build.  [default: all]")
@click.option("--push", is_flag=True, help="Push the image too.")
def make_release(registry: str, base: str, arches: str, push: bool) -> None:
    """Make a release of this checkout in dist/release/."""
    try:
        folder = release.make((arches or ",".join(MACHINES)).split(","), registry, base, push, click.echo)
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    for path in sorted(folder.iterdir()):
        click.echo(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB")


@main.command("wheels")
@click.option("--compiled", default="auto", help="auto: a compiled wheel too, where a C compiler is; 1: must; 0: none.")
def make_wheels(compiled: str) -> None:
    """Build the wheels of this checkout into dist/."""
    try:
        for wheel in wheels.build_both(ROOT / "dist", compiled, click.echo):
            click.echo(wheel.relative_to(ROOT))
    except ImageError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--registry", default="", help="As for build.")
def save(target: Path, registry: str) -> None:
    """Write the image of this checkout, which `build` made, to a docker-archive."""
    try:
        name = images.full_name(registry, version.current().tag)
        target.unlink(missing_ok=True)
        run(builders.find().save(name, target.resolve()), what=f"saving {name}")
    except ImageError as error:
        raise click.ClickException(str(error)) from error


@main.command("install-packages")
def install_packages() -> None:
    """Install buildah and mmdebstrap with apt-get, where they are missing (root, Debian or Ubuntu)."""
    lacking = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
    if not lacking:
        return
    try:
        run(["apt-get", "update", "--quiet"], what="apt-get update")
        command = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *lacking]
        run(command, what=f"apt-get install {' '.join(lacking)}")
    except ImageError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m hack.image")
