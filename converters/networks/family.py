"""Defines a family of networks as one row: tensors, the names others give them, facts and health.

Finding, proving, converting and exporting read the row and know no family by themselves. Inside a backbone
file the tensors of a family have the same names ("ours") for all publishers; a ResNet's are Detectron2's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from converters.containers.tensors import StoredTensor

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Weights = Mapping[str, np.ndarray]
Facts = Mapping[str, Any]

COUNTER = ".num_batches_tracked"  # ends the names of the only tensors that are int64; all others are float32
ASIDE = "~"  # begins what a dialect calls a tensor that only tells something about the network


@dataclass(frozen=True)
class Fact:
    """One fact of the weights: it travels in the manifest, and another value gives other numbers."""

    key: str  # in the manifest
    kind: type
    usual: Any  # what it is where nothing says otherwise
    title: str  # in reports
    # Manifests were written before it was known: they leave it out where it is as usual, and keep their hash.
    later: bool = False
    choices: tuple[str, ...] = ()  # of a text; nothing: any
    most: float = math.inf  # of a float

    def problem(self, value: Any) -> str:
        """Why a value of the right type can be none of this fact; "" if it can."""
        if self.choices and value not in self.choices:
            return f"{self.key} {value!r:.60}; expected {', '.join(map(repr, self.choices))}"
        if self.kind is float and not (0 < value <= self.most and math.isfinite(value)):
            end = f", at most {self.most:g}" if math.isfinite(self.most) else ""
            return f"{self.key} {value}; expected a finite number above 0{end}"
        return ""


@dataclass(frozen=True)
class Dialect:
    """How one publisher's code names the tensors of a family; a subclass fills its own templates."""

    name: str
    about: str
    separator: str = "."
    renamed: tuple[tuple[str, str], ...] = ()  # segments that some versions call differently
    channels_last: bool = False  # kernels are stored height, width, in, out (TensorFlow, JAX)
    silent: tuple[str, ...] = ()  # endings inside the network that carry no weight and are dropped
    # (pattern of a name behind the prefix, why it is dropped). With such rows nothing else may lie beside the
    # network; without them, all may that shares no first segment with it.
    beside: tuple[tuple[str, str], ...] = ()

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> our name, or one of the dialect's own, for the deepest network of the family."""
        raise NotImplementedError

    def reason(self, rest: str, found: Shapes) -> str:
        """Why a tensor named `rest` behind the prefix is dropped; "" if the dialect does not say so."""
        return next((why for pattern, why in self.beside if fnmatchcase(rest, pattern)), "")

    def likened(self, found: Shapes) -> Shapes:
        """Shapes by the dialect's own names -> by ours, as far as facts are read off them; never fails."""
        return found

    def told(self, found: Shapes) -> Facts:
        """Stated facts that this dialect, or the shapes by its own names, give away."""
        return {}

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors of the network with these facts -> those of a file, by the dialect's own names.

        Those that begin with ASIDE are never expected.
        """
        return expected

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The arrays of `stored`, and those ASIDE that were found -> ours. ValueError for wrong values."""
        return dict(arrays)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        raise NotImplementedError


@dataclass(frozen=True)
class Evidence:
    """A file without a complete network: all its names, and what of the family came closest."""

    shapes: Shapes  # every tensor of the file, by name without wrapper segments
    segments: frozenset[str]  # the parts between the dots of these names
    found: Shapes  # the closest candidate's tensors by our names; empty if there is no candidate
    missing: tuple[str, ...]  # what it lacks, by our names
    dialect: str
    foreign: tuple[str, ...]  # globals of the pickle that are no plain data


Refusal = tuple[Callable[[Evidence], bool], str]  # what must hold, and the line that is told then


def _same_prefix(name: str, prefix: str) -> str:
    return prefix


def _no_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return {}, []


def _exportable(facts: Facts) -> str:
    return ""


def _as_usual(facts: Facts) -> dict[str, Any]:
    return {}


def _no_signs(tensors: Mapping[str, Any]) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, eq=False)  # one object a family, compared and hashed as such
class Family:
    """All that the package knows of one kind of network; `networks/table.py` lists the rows.

    Facts in the arguments below may be a whole manifest: each function takes the keys that it knows.
    """

    name: str  # in the manifest
    title: str  # for people
    facts: tuple[Fact, ...]  # read off the shapes
    stated: tuple[Fact, ...]  # not to be seen in the shapes: said by the publisher's row or the user
    # Facts -> every tensor with its shape, in network order. ValueError for facts of no such network.
    shapes: Callable[[Facts], Shapes]
    # Shapes as found -> the facts of the network that explains them best; never fails. Stated facts may be
    # among them, where the shapes do tell.
    closest: Callable[[Shapes], dict[str, Any]]
    label: Callable[[Facts], str]  # "ResNet-50"
    details: Callable[[Facts], str]  # what the label leaves out
    dialects: tuple[Dialect, ...]
    export_dialect: str  # the one of the files that are written for other programs
    colours: str  # the kernel (out, in, height, width) that sees the image
    compared: tuple[str, ...]  # tensors by which two encoders are known to be equal
    warnings: tuple[Callable[[Weights], str], ...] = ()  # each gives a line, or "" where all is well
    refusals: tuple[Refusal, ...] = ()  # from the particular to the general: the first that holds is told
    # (our name, prefix) -> the prefix of the network, where a detector keeps a part of it elsewhere
    home: Callable[[str, str], str] = _same_prefix
    # config.json beside HuggingFace weights ({} if there is none) -> stated facts, and notes
    from_config: Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[str]]] = _no_config
    # Facts off the shapes -> stated facts whose usual value depends on them.
    usually: Callable[[Facts], dict[str, Any]] = _as_usual
    # Tensors by the dialect's own names, not yet read -> words for what their values show of the publisher.
    signs: Callable[[Mapping[str, StoredTensor]], frozenset[str]] = _no_signs
    # Pixels, epsilon and activation differ between publishers so much that an unknown one is not assumed.
    needs_publisher: bool = False
    # Why torchvision and timm cannot compute a network with these facts; "" if they can.
    unexportable: Callable[[Facts], str] = _exportable

    def dialect(self, name: str) -> Dialect:
        """The family's dialect of that name."""
        return next(dialect for dialect in self.dialects if dialect.name == name)

    def told(self, facts: Facts) -> dict[str, Any]:
        """The facts as a manifest tells them: without later ones that are as usual."""
        later = {fact.key: fact.usual for fact in (*self.facts, *self.stated) if fact.later}
        return {key: value for key, value in facts.items() if key not in later or value != later[key]}

    def exported(self) -> Mapping[str, str]:
        """Names of the files for other programs -> ours."""
        return self.dialect(self.export_dialect).vocabulary()
