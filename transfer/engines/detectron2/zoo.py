"""Finds where Detectron2's model zoo keeps its files: the library alone knows the address."""

from __future__ import annotations


def zoo_address(path: str) -> str | None:
    """Returns the address of a file named detectron2://PATH; None where Detectron2 is not importable."""
    try:
        from detectron2.utils.file_io import Detectron2Handler
    except ImportError:
        return None
    return f"{Detectron2Handler.S3_DETECTRON2_PREFIX}{path}"
