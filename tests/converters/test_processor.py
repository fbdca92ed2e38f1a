"""A processor is asked for its instructions by name; one that says nothing has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.processor import computes_bfloat16


@pytest.mark.parametrize(
    ("flags", "computes"),
    [
        ("fpu sse2 avx2 fma", False),
        ("fpu avx2 avx512f avx512bw", False),  # torch emulates it there, too
        ("fpu avx2 avx512f avx512_bf16", True),
        ("fpu avx2 amx_bf16 amx_tile", True),
        ("fp asimd sve i8mm bf16 dgh", True),  # ARM
        ("fp asimd i8mm", False),
    ],
)
def test_instructions_are_asked_for_by_name(tmp_path: Path, flags: str, computes: bool) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text(f"processor : 0\nflags : {flags}\n")
    assert computes_bfloat16(str(described)) is computes


def test_a_system_that_says_nothing_has_none(tmp_path: Path) -> None:
    assert not computes_bfloat16(str(tmp_path / "absent"))
