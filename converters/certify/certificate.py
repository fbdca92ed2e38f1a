"""Compares a backbone's function with a reference, and writes what was found: a certificate or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.backbone import Backbone
from converters.certify.causes import cause, difference
from converters.certify.features import MAP, Reference
from converters.certify.function import NORM, Function
from converters.certify.images import Size, image
from converters.certify.reference import last_map
from converters.convert import TOOL_VERSION
from converters.errors import CheckpointError
from converters.networks.table import family_of

TOLERANCE = 1e-5  # of the reference's largest number, in single precision
CERTIFICATE = (
    "certificate"  # its key in a manifest; no fact of the weights, and so not in the hash of the content
)


def certify(backbone: Backbone, file: Path, against: Reference, wanted: Sequence[Size]) -> Backbone:
    """The backbone with a certificate in its manifest. CheckpointError says where and why the two differ."""
    check_pixels(backbone, file, against)
    ours = Function(backbone)
    worst, compared = 0.0, set[str]()
    failed: list[tuple[Size, str, float]] = []
    for size, theirs in zip(wanted, against.maps, strict=True):
        found = ours.maps(image(size))
        named = {last_map(backbone.manifest) if name == MAP else name: each for name, each in theirs.items()}
        common = [name for name in found if name in named]
        if not common:
            theirs_are, ours_are = (", ".join(map(repr, names)) for names in (named, found))
            raise CheckpointError(
                f"{file}: not certified: the reference's maps {theirs_are} are none of ours, which are "
                f"{ours_are}"
            )
        compared |= set(common)
        for name in common:
            apart = difference(found[name], named[name])
            worst = max(worst, apart)
            if not apart < TOLERANCE:
                failed.append((size, name, apart))
    if failed:
        _refuse(backbone, file, against, wanted, failed)
    declared, stride = against.stride, max(ours.strides.values())
    if declared and declared != stride:
        raise CheckpointError(
            f"{file}: not certified: {against.title} declares stride {declared}, and its maps have stride "
            f"{stride}: anchors and pyramids built on that are at the wrong places"
        )
    certificate = {
        "against": against.title,
        "content_sha256": backbone.content_sha256(),
        "difference": float(f"{worst:.2g}"),
        "tolerance": TOLERANCE,
        "sizes": [list(size) for size in wanted],
        "maps": [name for name in ours.strides if name in compared],
        "stride": stride,
        "pixels": "equal" if against.pixels else "not stated by the reference",
        "tool_version": TOOL_VERSION,
    }
    return replace(backbone, manifest={**backbone.manifest, CERTIFICATE: certificate})


def check_pixels(backbone: Backbone, file: Path, against: Reference) -> None:
    """CheckpointError if the reference normalises images by other numbers than the manifest says."""
    manifest = backbone.manifest
    step = -1 if manifest["input_format"] == "BGR" else 1
    for key, theirs in against.pixels.items():
        own = manifest[f"pixel_{key}"][::step]
        if any(abs(a - b) > 0.01 for a, b in zip(own, theirs, strict=True)):
            told = [" ".join(f"{value:.3f}" for value in values) for values in (own, theirs)]
            raise CheckpointError(
                f"{file}: not certified: its pixels have {key} {told[0]} (RGB), those of {against.title} "
                f"{told[1]}; "
                f"state the right one with --pixel-{key}, or say whose file it is with --source"
            )


def _refuse(
    backbone: Backbone,
    file: Path,
    against: Reference,
    wanted: Sequence[Size],
    failed: list[tuple[Size, str, float]],
) -> None:
    """Raises CheckpointError with the first map of the smallest image that differs, and the likely cause."""
    size, name, apart = min(failed, key=lambda each: each[0][0] * each[0][1])
    theirs = against.maps[list(wanted).index(size)]
    reference = theirs[name] if name in theirs else theirs[MAP]
    known = [each for each in failed if each[0] == size]
    last = next((each for each in reversed(known) if each[1] != NORM), known[-1])
    if name != last[1] and last[1] in theirs:  # the last block shows all that is wrong before it
        name, apart, reference = last[1], last[2], theirs[last[1]]
    why = cause(backbone, image(size), name, reference)
    where = "" if len({each[0] for each in failed}) == len(wanted) else " (and not on every size)"
    raise CheckpointError(
        f"{file}: not certified: differs from {against.title} by {apart:.1e} in {name!r} at "
        f"{size[0]}x{size[1]}{where}; likely cause: {why}"
    )


def standing(manifest: Mapping[str, Any], content_sha256: str) -> str:
    """`certified` if a manifest has a certificate of exactly these weights and facts, otherwise `proven`.

    Proven says that every tensor is accounted for, and nothing about what the publisher's code makes of them.
    """
    certificate = manifest.get(CERTIFICATE)
    same = type(certificate) is dict and certificate.get("content_sha256") == content_sha256
    return "certified" if same else "proven"


def report(backbone: Backbone, wanted: Sequence[Size]) -> str:
    """The certificate for people: what was compared, and how the network reads its file."""
    m = backbone.manifest
    certificate: dict[str, Any] = m[CERTIFICATE]
    lines = {
        "certified": f"{family_of(m).label(m)} of {m['source']} computes what {certificate['against']} does",
        "maps": ", ".join(certificate["maps"]),
        "images": ", ".join(f"{height}x{width}" for height, width in wanted),
        "difference": f"{certificate['difference']:.1e}, at most {TOLERANCE:.0e} was allowed",
        "stride": str(certificate["stride"]),
        **_reading(m),
        "pixels": f"{m['input_format']}, mean {_numbers(m['pixel_mean'])}, std {_numbers(m['pixel_std'])}; "
        f"{certificate['pixels']}",
        "content": certificate["content_sha256"],
    }
    return "\n".join(f"{label + ':':<13}{text}" for label, text in lines.items())


def _reading(m: dict[str, Any]) -> dict[str, str]:
    if m.get("family") != "vit":
        return {"norm": f"epsilon {m['norm_eps']:g}"} if "norm_eps" in m else {}
    places = f"{m['pos_tokens']} rows" if m["pos_tokens"] else "none learned"
    turned = f", rotary {m['rope']}, base {m['rope_base']:g}" if m["rope"] else ""
    relative = f", {m['rel_pos']} relative" if m["rel_pos"] else ""
    return {
        "norm": f"{'a' if m['final_norm'] else 'no'} final norm, epsilon {m['norm_eps']:g}",
        "positions": f"{places}{relative}{turned}, other grids by {m['pos_interpolation']!r}",
        "layer scale": "yes" if m["layer_scale"] else "no",
        "activation": "silu gate" if m["mlp"] == "swiglu" else m["activation"],
        "heads": str(m["num_heads"]),
    }


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
