"""Chooses the number format in which a network computes, and computes in it."""

from __future__ import annotations

import contextlib

import torch

from converters.processor import computes_bfloat16
from pretrain.errors import PretrainError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Computes in `precision` (fp32, bf16 or fp16) where torch holds it to be safe."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=HALF[precision])


def choose_precision(wanted: str, device: torch.device) -> str:
    """Turns "auto" into bfloat16 where the hardware computes in it, else into float16 or, on a CPU, float32.

    Raises PretrainError for float16 on a CPU.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise PretrainError("--precision fp16 needs a GPU; use bf16 or fp32 on a CPU")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if computes_bfloat16() else "fp32"
