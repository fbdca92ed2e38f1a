"""Joins the rows of all publishers in one table, from which `docs/checkpoints.md` is made.

The more of a row's markers a file shows, the better the row fits; earlier rows win a tie.
"""

from __future__ import annotations

from converters.publishers.hierarchies import HIERARCHIES
from converters.publishers.libraries import LIBRARIES
from converters.publishers.own import OWN
from converters.publishers.papers import METHODS
from converters.publishers.row import ANY, BY_WORDS, INFERRED, ONLINE, Layout, Source
from converters.publishers.vit_huggingface import VIT_HUGGINGFACE
from converters.publishers.vit_libraries import VIT_LIBRARIES
from converters.publishers.vit_papers import VIT_METHODS
from converters.publishers.vit_plain import VIT_PLAIN

SOURCES: tuple[Source, ...] = (
    *METHODS,
    *OWN,
    *LIBRARIES,
    *VIT_METHODS,
    *VIT_PLAIN,
    *VIT_LIBRARIES,
    *VIT_HUGGINGFACE,
    *HIERARCHIES,
)
UNKNOWN = Source(
    "unknown",
    "any other file with one complete network, unless it is a vision transformer",
    (Layout(ANY, ANY, BY_WORDS),),
    "",
    ONLINE,
    "everything outside the one complete network",
    dialects=(ANY,),
    status=INFERRED,
    warning="publisher unknown: ImageNet's RGB pixels and torchvision's strides are assumed",
)
BY_NAME = {source.name: source for source in (*SOURCES, UNKNOWN)}
