"""Classes that answer, of packages that the operator installs: found by their entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points

from core import errors
from inference import keys
from inference.faults import Fault
from inference.keys import Key
from inference.manifest import Manifest

GROUP = "coatcheck.models"
#: Of model.yaml's options, that which names one.
OPTION: Mapping[str, Key] = {"class": keys.text(required=True)}


def names() -> list[str]:
    """Of the classes that are installed."""
    return sorted(entry_points(group=GROUP).names)


def find(name: str) -> EntryPoint:
    """Raises BundleInvalid for a name that no package brings, or more than one."""
    found: list[EntryPoint] = [*entry_points(group=GROUP, name=name)]
    if not found:
        there = ", ".join(names()) or "none"
        raise errors.BundleInvalid(
            f"class '{name}' is not installed; install the package whose entry points name it: of the group {GROUP} "
            f"there are here: {there}"
        )
    if len(found) > 1:
        raise errors.BundleInvalid(f"class '{name}' is brought twice: as {' and as '.join(map(told, found))}")
    return found[0]


def told(entry: EntryPoint) -> str:
    """Where a class is, and of which version of which package."""
    package = f" of {entry.dist.name} {entry.dist.version}" if entry.dist else ""
    return f"{entry.value}{package}"


def code(manifest: Manifest) -> str:
    """The same of the class that a manifest names; raises BundleInvalid."""
    return told(find(str(manifest.options["class"])))


def broken(manifest: Manifest) -> Iterator[Fault]:
    """Whether it is there."""
    try:
        code(manifest)
    except errors.BundleInvalid as error:
        yield Fault(("options", "class"), f"cannot be found: {error.message}")
