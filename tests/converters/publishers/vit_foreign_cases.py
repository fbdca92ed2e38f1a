"""The cases of vision transformers with names that are not timm's: for every row at least one file."""

from __future__ import annotations

from tests.converters.publishers.vit_huggingface_cases import HUGGINGFACE
from tests.converters.publishers.vit_library_cases import LIBRARIES
from tests.converters.publishers.vit_tower_cases import TOWERS

VIT_FOREIGN = (*TOWERS, *LIBRARIES, *HUGGINGFACE)
