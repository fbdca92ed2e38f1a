"""Makes the page of checkpoints: `python -m converters.output.docs_page > docs/checkpoints.md`."""

from __future__ import annotations

import sys

from converters.command import command
from converters.containers.reading import FOLDERS, NO_CHECKPOINT
from converters.finding.health import ACCEPTABLE
from converters.finding.refusals import rows
from converters.networks import table
from converters.networks.family import Family
from converters.networks.resnet import STRIDES
from converters.publishers.row import ANY, FILE, NOT, PERMUTED, STATED, Layout, Source
from converters.publishers.table import SOURCES, UNKNOWN

WORDS = (STATED, PERMUTED)
INTRODUCTION = """# Checkpoints

This page is made from the tables in `converters/` by `python -m converters.output.docs_page`; a test keeps
the two equal.

`python -m converters INPUT OUTPUT.pkl` reads a checkpoint and writes a backbone file (a ResNet's is also
Detectron2's). It takes exactly one complete network of a known family (a ResNet, a vision transformer, a
ConvNeXt or a Swin) with all its tensors, or refuses with the reason. Reading runs no code of the file.
`--inspect INPUT` shows what is inside and ends with exit code 2 if it cannot be converted, `--list` shows the
names below.

A pickle that names anything but tensors and plain data gets the warning "this file tries to run code
elsewhere", with the names: do not load it with another program. Configurations such as `argparse.Namespace`
are a note. Unprintable characters of names are shown escaped.

## What is written

The suffix of OUTPUT says the form, `--to` says it for any other suffix, and the two must not contradict.

| `--to` | Suffix | Content | Read by |
| --- | --- | --- | --- |
| `detectron2` | `.pkl` | a pickle of arrays under our names, and the manifest | us; a ResNet's: Detectron2 |
| `torchvision` | `.pth`, `.pt` | a bare state dict under torchvision's names, without `fc` | torch.load |
| `safetensors` | `.safetensors` | the same names, without `fc` | safetensors |

The last two are torchvision's and timm's `resnet50`: `model.load_state_dict(torch.load(FILE), strict=False)`
misses `fc.weight` and `fc.bias` and nothing else, with torch's safe default `weights_only=True`. Of a vision
transformer they have timm's names, for the network of timm that has its facts, and one
with rotary or relative positions is refused in these forms; of a ConvNeXt and a Swin those
of Facebook's and Microsoft's code, which timm's loaders read.

The benchmark takes all three as `--init`, with the facts of the manifest (source, pixels, channel order,
strides) and proof that the weights are those that were written. In torch's archive the manifest is a member
of its own, `moco_transfer.json`, which torch passes over; in safetensors it is the header's metadata. There
is no second file to lose. A file that another program saves anew has no manifest any more: a ResNet is
read as torchvision's, with ImageNet's pixels, and of other networks the publisher must be named again.

torchvision and timm take RGB images and have their strides in the 3x3 convolutions. A network for BGR is
therefore flipped for them: the input channels of its first convolution, the means and the deviations change
places, exactly, and a note says so. It computes the same, but is another init to the benchmark than the
unflipped `.pkl`. A network with strides in its 1x1 convolutions (`msra`) is refused in these two forms.

The input is never overwritten, under any of its names. An existing output is overwritten without `--force`
only if it is a backbone that this tool wrote, and not if the input is one as well. Files appear whole or not
at all.

## Is it the publisher's function?

`python -m converters certify FILE --against timm:NAME` computes the maps that enter a neck twice, by our
function and by the publisher's code, on three images (native, wide, 1024 pixels), and holds them equal
within 1e-5. A difference is told with its likely cause (layer scale, final norm, activation, epsilon,
heads, interpolation of positions ...) and exit code 2; with OUTPUT the certificate goes into the manifest,
records and tables. `torch:CHECKOUT:MODULE:CALLABLE` takes a publisher's checkout, whose code then runs in a
process of its own; `--write FEATURES.npz` stores the maps on a machine that has it, and `--against
FEATURES.npz` reads them.
"""
SOURCES_INTRODUCTION = """## Sources

*Encoder* is the one that the field evaluates and that is taken unless `--encoder` says otherwise.
*Found at* is the dictionary and the prefix, without wrapper segments (`module`, `_orig_mod`, FSDP's and
checkpointing's). *Pixels* are Detectron2's `INPUT.FORMAT`, `PIXEL_MEAN` and `PIXEL_STD`. *Sure* is "read"
where the fact stands in the public code named, "inferred" where it follows from it. A layout marked with
`--source` is shared by several publishers and is only taken for this row when you name it; one marked "by
its values" is told by what its tensors hold. *Stride in, facts* says where a ResNet's strides
are, and of other networks what no shape tells and is not as usual: `--fact KEY=VALUE` states it otherwise.
"""


def page() -> str:
    """The whole page as text."""
    parts = [
        INTRODUCTION,
        SOURCES_INTRODUCTION,
        _table(
            (
                "Name",
                "Source",
                "Encoder",
                "Found at",
                "Pixels",
                "Stride in, facts",
                "Dropped",
                "Sure",
                "Reference",
            ),
            [_row(source) for source in (*SOURCES, UNKNOWN)],
        ),
        "### Remarks\n",
        "\n".join(f"- `{s.name}`: {s.note or s.warning}." for s in (*SOURCES, UNKNOWN) if s.note or s.warning)
        + "\n",
        "## Dialects\n\nTemplates of the names. Letters stand for stage, block and convolution.\n",
        *map(_dialects, table.FAMILIES),
        "## Refused, with the reason\n",
        "\n".join(f"- {text}" for text in _refusals()) + "\n",
        "Folders:\n",
        "\n".join(f"- with `{pattern}`: {text}" for pattern, text in FOLDERS) + "\n",
        "Files that are no checkpoints are named by their first bytes:\n",
        "\n".join(f"- {text}" for text in dict.fromkeys(text for _, text in NO_CHECKPOINT)) + "\n",
        "## Health\n\nValues that are not finite and variances not positive are always refused. These"
        " can be accepted with `--accept NAME`, which the manifest records:\n",
        "\n".join(f"- `{name}`: {text}" for name, text in ACCEPTABLE.items()) + "\n",
    ]
    return "\n".join(parts)


def _refusals() -> list[str]:
    """Each line once: those outside the families hold for all of them."""
    return list(dict.fromkeys(text for family in table.FAMILIES for _, text in rows(family)))


def _dialects(family: Family) -> str:
    columns = tuple(family.dialects[0].templates())
    named = [(d.name, d.about, *(f"`{t}`" for t in d.templates().values())) for d in family.dialects]
    return _table(("Dialect", "Used by", *columns), named)


def _row(source: Source) -> tuple[str, ...]:
    pixels = source.pixels
    return (
        f"`{source.name}`",
        source.title,
        source.encoder,
        "<br>".join(map(_layout, source.layouts)),
        f"{pixels.input_format}<br>{_numbers(pixels.mean)}<br>{_numbers(pixels.std)}",
        _facts(source),
        source.dropped or "-",
        source.status,
        source.reference or "-",
    )


def _facts(source: Source) -> str:
    """Strides of a ResNet; of other families the facts that the row states."""
    named = {dialect.name for dialect in table.UNNAMED.dialects} | {ANY}
    if named & set(source.dialects):
        return "1x1" if dict(source.facts).get(STRIDES.key, STRIDES.usual) else "3x3"
    return "<br>".join(f"{key} {value}" for key, value in source.facts) or "-"


def _layout(layout: Layout) -> str:
    path = "any dictionary" if layout.path == "*" else f"`{layout.path}`" if layout.path else "top level"
    prefix = "any prefix" if layout.prefix == "*" else f"`{layout.prefix}`" if layout.prefix else "no prefix"
    marks = [f"`{mark.lstrip('/')}`" for mark in layout.markers if not mark.startswith(("@", NOT, FILE))]
    marks += [f"the file's name `{mark[1:]}`" for mark in layout.markers if mark.startswith(FILE)]
    absent = [f"`{mark[1:]}`" for mark in layout.markers if mark.startswith(NOT)]
    told = f", told by {' and '.join(marks)}" if marks else ""
    told += f", without {' and '.join(absent)}" if absent else ""
    values = ", by its values" if any(m.startswith("@") and m not in WORDS for m in layout.markers) else ""
    stated = ", with `--source`" if STATED in layout.markers else ""
    return f"{path}, {prefix} ({layout.role}){told}{values}{stated}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def main() -> int:
    print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
