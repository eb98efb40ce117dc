"""`coatcheck models`: what is published."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.table import Table

from core import database, settings
from inference import bundle
from registry.catalog import Catalog
from storage.objects import Store


@click.group()
def models() -> None:
    """Publish and list model bundles."""


@models.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--stable", is_flag=True, help="Answer with this version when nobody asks for another.")
def push(folders: tuple[Path, ...], stable: bool) -> None:
    """Check each bundle (signature, golden examples), store it and list it."""
    # What would be logged of a model that fails is said on the terminal.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    catalog, store = _open()
    store.ensure_bucket()
    for folder in folders:
        loaded = bundle.load(folder)
        new = catalog.publish(loaded, stable=stable)
        manifest = loaded.manifest
        state = "published" if new else "already there"
        click.echo(f"{manifest.name} {manifest.version}  {state}  sha256:{loaded.digest[:12]}")


@models.command("list")
def list_() -> None:
    """Every published version."""
    catalog, _ = _open()
    table = Table("model", "version", "stable", "kind", "pool", "inline", "digest")
    for item in catalog.versions():
        manifest = item.manifest
        stable, inline = ("yes" if flag else "" for flag in (item.stable, manifest.inline))
        table.add_row(item.model, item.version, stable, manifest.kind, manifest.pool, inline, item.digest[:12])
    Console().print(table)


def _open() -> tuple[Catalog, Store]:
    values = settings.load_only(settings.ObjectSettings)
    store = Store(values)
    return Catalog(database.create_engine(settings.database_url()), store, values.model_cache), store
