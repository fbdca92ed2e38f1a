"""Computes maps with timm's class of a name, which reads the original file by timm's own rules."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from converters.certify.features import Reference
from converters.certify.function import NORM
from converters.certify.images import Maps, Size, image
from converters.certify.resnet import STAGES
from converters.errors import CheckpointError

MISSING = "Missing keys ("  # begins timm's note on tensors that a file did not have
STRICTLY = "Missing key(s) in state_dict: "  # begins torch's, where timm loads strictly


def timm_reference(name: str, file: Path, blocks: Sequence[int], wanted: Sequence[Size]) -> Reference:
    """The maps of `blocks` and the one behind the final norm; of all stages where there are no blocks.

    CheckpointError if timm is not installed, knows no such name or cannot read the file, or if a tensor of
    its model is not in the file.
    """
    try:
        import timm
    except ModuleNotFoundError:
        raise CheckpointError(
            f"timm:{name}: timm is not installed; install it, or make features where it is"
        ) from None
    model = _model(timm, name, file)
    pixels = {key: [255.0 * value for value in model.pretrained_cfg[key]] for key in ("mean", "std")}
    _check_swin(model, name, wanted)
    maps = tuple(_maps(model, size, blocks) for size in wanted)
    stride = model.feature_info[-1]["reduction"] if blocks else 0
    return Reference(f"timm {timm.__version__}: {name}", maps, stride, pixels)


def _check_swin(model: Any, name: str, wanted: Sequence[Size]) -> None:
    """CheckpointError for sizes at which timm's Swin is another function than the detectors'."""
    own = tuple(model.pretrained_cfg["input_size"][1:])
    if type(model).__name__.startswith("SwinTransformer") and any(size != own for size in wanted):
        raise CheckpointError(
            f"timm:{name}: timm's Swin pads its windows behind the shift, detectors in front of it: the two "
            f"are one function at {own[0]}x{own[1]} alone; say --size {own[0]}x{own[1]}"
        )


def _model(timm: Any, name: str, file: Path) -> Any:
    own = {"file": str(file.resolve()), "source": "", "custom_load": file.suffix == ".npz"}
    lines: list[str] = []
    try:
        with _notes(lines):
            try:
                model = timm.create_model(
                    name, pretrained=True, num_classes=0, pretrained_cfg_overlay=own, dynamic_img_size=True
                )
            except TypeError:  # the class has no such argument
                model = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=own)
    except Exception as error:  # timm raises what it likes
        told = " ".join(str(error).split())
        if STRICTLY not in told:
            raise CheckpointError(f"timm cannot load {file} into {name}: {told:.300}") from None
        missing = told.partition(STRICTLY)[2].partition("Unexpected")[0]
        lines.append(f"{MISSING}{missing.strip(' .')})")
    if noted := [line for line in lines if line.startswith(MISSING)]:
        names = noted[0].removeprefix(MISSING).partition(")")[0].replace('"', "").split(", ")
        what = "layer scale" if any(".ls" in n or "gamma" in n for n in names) else "a part of the network"
        raise CheckpointError(
            f"{file}: not certified: {name} needs {len(names)} tensors that are not in it, {names[0]} first: "
            f"{what} was lost on the way; take the publisher's own file, or another name"
        )
    return model.eval()


@contextmanager
def _notes(lines: list[str]) -> Iterator[None]:
    """Collects what timm's loader says."""
    logger = logging.getLogger("timm.models._builder")
    handler, level = logging.Handler(), logger.level
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _maps(model: Any, size: Size, blocks: Sequence[int]) -> Maps:
    import torch

    fixed = getattr(model.patch_embed, "img_size", None) if hasattr(model, "patch_embed") else None
    if fixed is not None and not getattr(model, "dynamic_img_size", False) and tuple(fixed) != size:
        model = deepcopy(model)  # it fits its positions for good
        model.set_input_size(img_size=size)
    x = torch.from_numpy(image(size))
    with torch.no_grad():
        if not blocks:
            stages = model.forward_intermediates(x, intermediates_only=True)[-len(STAGES) :]
            names = STAGES if hasattr(model, "layer4") else [f"stage{n}" for n in (1, 2, 3, 4)]
            return {name: each[0].numpy() for name, each in zip(names, stages, strict=True)}
        found = model.forward_intermediates(x, indices=list(blocks), intermediates_only=True)
        maps = {f"block {number}": each[0].numpy() for number, each in zip(blocks, found, strict=True)}
        if not isinstance(model.norm, torch.nn.Identity):
            (last,) = model.forward_intermediates(x, indices=1, norm=True, intermediates_only=True)
            maps[NORM] = last[0].numpy()
    return maps
