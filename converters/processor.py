"""Says what the machine's processor computes in, so that pre-training and fine-tuning choose alike."""

from __future__ import annotations

import functools

BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}  # the instructions as Linux names them; the last are ARM's


@functools.cache
def computes_bfloat16(described_in: str = "/proc/cpuinfo") -> bool:
    """Whether the processor has instructions for bfloat16; False where the system does not say (macOS).

    Without them torch emulates it: a product of matrices took 80 times float32's time on an AMD EPYC that
    has AVX2 alone (torch 2.14.1).
    """
    try:
        with open(described_in, encoding="utf-8", errors="replace") as file:
            described = file.read()
    except OSError:
        return False
    return not BFLOAT16.isdisjoint(described.split())
