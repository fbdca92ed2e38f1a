"""Where Detectron2's model zoo keeps its files; asks the library, which alone knows the address."""

from __future__ import annotations


def zoo_address(path: str) -> str | None:
    """The address of a file that Detectron2 names detectron2://PATH; None where it is not importable."""
    try:
        from detectron2.utils.file_io import Detectron2Handler
    except ImportError:
        return None
    return f"{Detectron2Handler.S3_DETECTRON2_PREFIX}{path}"
