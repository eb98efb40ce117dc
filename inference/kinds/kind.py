"""What is asked of a kind of models: whatever differs between kinds is said by one of these, and nowhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inference.faults import Fault
from inference.keys import Key
from inference.manifest import Golden, Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model
    from inference.opened import FileModel


class Kind(ABC):
    """One object for all models of the kind; it knows no bundle, and importing it opens nothing."""

    #: The bundle's ONNX files, in the order in which `opened` takes their sessions, and the other files that it needs.
    graphs: tuple[str, ...] = ("model.onnx",)
    files: tuple[str, ...] = ()
    #: What the file may be that models of the kind take; none, where they take rows alone.
    content_types: tuple[str, ...] = ()
    #: Of what type its fields may be.
    field_types: tuple[str, ...] = ("string", "number", "integer", "boolean")
    #: Whether a model must have a field.
    needs_fields: bool = True
    #: Whether a field may say which input of the graph takes it.
    names_inputs: bool = False
    #: Whether a session has one thread, however many there are.
    one_thread: bool = False
    #: Whether a session keeps for the next input the memory that the largest one took.
    arena: bool = True
    #: What a feature of an explanation is, "fields" or "words", where its models' answers can be explained by such.
    features: ClassVar[str | None] = None
    #: Of model.yaml: the keys that not every kind has, those of a golden example, and those of `options`, None for any.
    own_keys: ClassVar[Mapping[str, Key]] = {}
    golden_keys: ClassVar[Mapping[str, Key]]
    option_keys: ClassVar[Mapping[str, Key] | None] = None

    def takes(self, manifest: Manifest) -> tuple[str, ...]:
        """What the file may be that this model takes."""
        return self.content_types

    @property
    def takes_rows(self) -> bool:
        """Whether its models take rows; where they take a file as well, it holds what a row does."""
        return not self.content_types

    def inputs(self, folder: Path, manifest: Manifest, golden: Golden) -> dict[str, Any]:
        """What the model of this folder is handed for a golden example, apart from a file that is taken whole."""
        return dict(golden.inputs)

    def with_example(self, folder: Path, manifest: Manifest) -> Manifest:
        """The manifest of this folder with a first golden example that clients can be shown, where it has none."""
        return manifest

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        """The rules of the kind that the manifest breaks."""
        yield from ()

    def broken_golden(self, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        """Those that the answer of a golden example breaks, with paths that begin in the example."""
        yield from ()

    def keys_of_golden(self, raw: Mapping[str, Any]) -> Mapping[str, Key]:
        """Those of a golden example of a model.yaml that says this."""
        return self.golden_keys

    def output_schema(self, manifest: Manifest) -> dict[str, Any]:
        """What its models answer in the words of v1, as JSON Schema 2020-12."""
        return {"type": "object"}

    def code(self, manifest: Manifest) -> str | None:
        """Where the code is that answers, and of which version, where it is not in the bundle; raises BundleInvalid."""
        return None

    @abstractmethod
    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model | FileModel:
        """The model, with a session for each of `graphs`; raises BundleInvalid, and ModelUnavailable when an extra is
        not installed."""

    @abstractmethod
    def missed(self, golden: Golden, found: Any) -> str | None:
        """What the model had to answer to an example and what it `found` instead, if it did."""

    def hint(self, answered: Iterable[tuple[Golden, Any]]) -> str:
        """What is to be said behind a miss, seeing how every example is answered, as far as it is asked."""
        return ""
