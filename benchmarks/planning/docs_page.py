"""Writes the generated parts of docs/recipes.md: `python -m benchmarks.planning.docs_page docs/recipes.md`.

They are the values of every suite, what is assumed, and how the recipes differ from where they come from.
The module lies here and not beside the recipes, which know no suites.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.suite import groups, load_suite
from benchmarks.planning.suite_file import Suite
from converters.command import command
from converters.options import Parser
from transfer.recipes import origins
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import RECIPES, flatten, load_recipe

_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Z_0-9a-z]+):(?P<rest>.*)$")


def values() -> str:
    """One line per suite of the paper, from its recipe."""
    heads = ("suite", "of the paper", "detector", "batch, LR", "iterations; drops", "sizes; test", "trials")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_values(load_suite(name)))} |" for name in groups()["paper"]]
    return "\n".join(lines)


def _values(suite: Suite) -> list[str]:
    flat = flatten(load_recipe(suite.recipe))
    row = architecture_of(flat)
    drops = ", ".join(f"{step:,}" for step in flat["SOLVER.STEPS"])
    return [
        f"`{suite.name}`",
        suite.reference.removeprefix("MoCo v1 (arXiv 1911.05722) "),
        f"{row.name}, {flat[row.family.norm]}",
        f"{flat['SOLVER.IMS_PER_BATCH']}, {flat['SOLVER.BASE_LR']}",
        f"{flat['SOLVER.MAX_ITER']:,}; {drops}",
        _sizes(flat),
        f"{suite.trials}, {suite.primary}",
    ]


def _sizes(flat: dict[str, Any]) -> str:
    if flat["INPUT.SCALE_RANGE"]:
        low, high = flat["INPUT.SCALE_RANGE"]
        return f"x {low} to {high}, crop {flat['INPUT.CROP.SIZE'][0]}; original size"
    sizes = flat["INPUT.MIN_SIZE_TRAIN"]
    return f"{sizes[0]} to {sizes[-1]} by 32; {flat['INPUT.MIN_SIZE_TEST']}"


def linear() -> str:
    """One line per suite of a linear head, from its recipe."""
    heads = ("suite", "from", "maps; head", "batch, LR, decay", "iterations", "scale, crop; test", "trials")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_on_maps(load_suite(name)))} |" for name in groups()["linear"]]
    return "\n".join(lines)


def upernet() -> str:
    """One line per suite of UperNet, from its recipe."""
    heads = ["suite", "from", "maps; head", "batch, LR, decay, layers; drop path"]
    heads += ["iterations", "scale, crop; test", "trials"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_on_maps(load_suite(name)))} |" for name in groups()["upernet"]]
    return "\n".join(lines)


def _on_maps(suite: Suite) -> list[str]:
    """The columns of a segmentor on maps of a backbone."""
    cfg = load_recipe(suite.recipe)
    flat, head, solver = flatten(cfg), cfg.MODEL.SEM_SEG_HEAD, cfg.SOLVER
    family = architecture_of(flat).family
    schedule = solver.LR_SCHEDULER_NAME.removeprefix("Warmup").removesuffix("LR").lower()
    rates = f"{solver.IMS_PER_BATCH}, {solver.BASE_LR}, {solver.WEIGHT_DECAY}"
    width = ""
    if head.NAME == "UPerHead":
        rates += f", {solver.LAYER_DECAY}; {flat[f'{family.section}.DROP_PATH']}"
        width = f"{head.CONVS_DIM} wide, "
    low, high = (int(cfg.INPUT.MIN_SIZE_TRAIN[0] * ratio) for ratio in cfg.INPUT.SCALE_RANGE)
    window = cfg.TEST.SLIDING_WINDOW
    test = f"windows {window.SIZE[0]} by {window.STRIDE[0]}" if window.ENABLED else "whole images"
    return [
        f"`{suite.name}`",
        suite.reference,
        f"{flat[family.outputs]}; {width}{head.NORM or 'no norm'}, dropout {head.DROPOUT}",
        rates,
        f"{solver.MAX_ITER:,}; {schedule}",
        f"{low} to {high}, crop {cfg.INPUT.CROP.SIZE[0]}; {cfg.INPUT.MIN_SIZE_TEST}, {test}",
        f"{suite.trials}, {suite.primary}",
    ]


def vitdet() -> str:
    """One line per recipe of ViTDet's suites, a suite's rows with recipes of their own included."""
    return _of_vits("vitdet")


def vitfpn() -> str:
    """One line per recipe of the suite of a FPN on a ViT's taps."""
    return _of_vits("vitfpn")


def _of_vits(group: str) -> str:
    heads = ["suite", "row", "from", "relative; drop path", "batch, LR, decay, layers"]
    heads += ["iterations; drops", "images"]
    suites = [load_suite(name) for name in groups()[group]]
    rows = [(suite, "any other", suite.recipe) for suite in suites]
    rows += [(suite, label, recipe) for suite in suites for label, recipe in suite.variants.items()]
    rows.sort(key=lambda row: suites.index(row[0]))
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_vitdet(suite, row, recipe))} |" for suite, row, recipe in rows]
    return "\n".join(lines)


def _vitdet(suite: Suite, row: str, recipe: str) -> list[str]:
    cfg = load_recipe(recipe)
    solver, low_high = cfg.SOLVER, cfg.INPUT.SCALE_RANGE
    frozen = ", frozen" if cfg.MODEL.BACKBONE.FROZEN else ""
    vit = cfg.MODEL.VIT
    relative = "shared" if vit.REL_BIAS_TOKENS else "yes" if vit.REL_POS_TOKENS else "no"
    return [
        f"`{suite.name}`",
        row,
        suite.reference,
        f"{relative}; {vit.DROP_PATH}{frozen}",
        f"{solver.IMS_PER_BATCH}, {solver.BASE_LR}, {solver.WEIGHT_DECAY}, {solver.LAYER_DECAY}",
        f"{solver.MAX_ITER:,}; {', '.join(f'{step:,}' for step in solver.STEPS) or 'cosine'}",
        f"x {low_high[0]} to {low_high[1]} of {cfg.INPUT.CROP.SIZE[0]}; test {cfg.INPUT.MIN_SIZE_TEST}",
    ]


def hierarchies() -> str:
    """One line per suite of an FPN on the maps of a ConvNeXt or a Swin, from its recipe."""
    heads = ["suite", "from", "drop path", "batch, LR, decay, layers", "without decay"]
    heads += ["iterations; drops", "sizes; cropped; test"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_hierarchy(load_suite(name)))} |" for name in groups()["hierarchies"]]
    return "\n".join(lines)


def _hierarchy(suite: Suite) -> list[str]:
    cfg = load_recipe(suite.recipe)
    flat, solver, crop = flatten(cfg), cfg.SOLVER, cfg.INPUT.CROP
    sizes, before = cfg.INPUT.MIN_SIZE_TRAIN, ", ".join(map(str, crop.MIN_SIZE_BEFORE))
    return [
        f"`{suite.name}`",
        suite.reference,
        str(flat[f"{architecture_of(flat).family.section}.DROP_PATH"]),
        f"{solver.IMS_PER_BATCH}, {solver.BASE_LR}, {solver.WEIGHT_DECAY}, {solver.LAYER_DECAY}",
        ", ".join(["norms", *(f"`{name}`" for name in solver.NO_WEIGHT_DECAY)]),
        f"{solver.MAX_ITER:,}; {', '.join(f'{step:,}' for step in solver.STEPS)}",
        f"{sizes[0]} to {sizes[-1]} by 32; half by {before}, {crop.SIZE[0]} to {crop.SIZE[1]}; "
        f"{cfg.INPUT.MIN_SIZE_TEST}",
    ]


def assumed() -> str:
    """One line per assumption of the recipes, from their own comments."""
    found = [line for path in sorted(RECIPES.glob("*.yaml")) for line in _assumed(path)]
    return "\n".join(["| recipe | value | assumed |", "|---|---|---|", *found])


def _assumed(path: Path) -> Iterator[str]:
    """Lines of a table for every comment of a recipe that has the word."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    if "assumed" in head:
        sentence = next(s for s in re.split(r"(?<=[.])\s", head) if "assumed" in s)
        yield f"| {path.stem} | (its head) | {sentence} |"
    places: list[tuple[int, str]] = []
    for line in lines:
        match = _KEY.match(line)
        if not match:
            continue
        indent = len(match["indent"])
        places = [place for place in places if place[0] < indent] + [(indent, match["key"])]
        value, _, comment = match["rest"].partition("#")
        if "assumed" in comment:
            key = ".".join(name for _, name in places)
            told = comment.strip().removeprefix("assumed").lstrip(":, ") or "the paper is silent"
            yield f"| {path.stem} | `{key}: {value.strip() or '...'}` | {told} |"


PARTS = {
    **{"values": values, "linear": linear, "upernet": upernet},
    **{"vitdet": vitdet, "vitfpn": vitfpn, "hierarchies": hierarchies},
    **{"assumed": assumed, "fidelity": origins.table},
}


def written(text: str) -> str:
    """The document with its generated parts as they must be now."""
    for name, made in PARTS.items():
        begin, end = f"<!-- {name}: generated -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise UsageError(f"expected a part {begin} ... {end}; take the page from docs/recipes.md")
        text = f"{before}{begin}\n\n{made()}\n\n{end}{after}"
    return text


def main() -> int:
    """Rewrites the page; 2 where it lacks a part."""
    parser = Parser("python -m benchmarks.planning.docs_page", description=__doc__)
    parser.add_argument("page", type=Path, help="docs/recipes.md")
    page: Path = parser.parse_args().page
    try:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    except (UsageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
