"""Makes ViTs with Detectron2's own class, in windows and with relative positions, and numbers of their maps:

python -m tests.converters.models.detectron2_vit

It writes the numbers beside this file, for machines without Detectron2, and needs it importable.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.converters.models.vit_cases import PATCH, PLAIN, SIDE, SIZES, images, trained

STORED = Path(__file__).with_name("detectron2_vit.json")
KEPT = 61  # every so many numbers of a map are stored
# Name -> the options of our module; Detectron2's ViT never has class token or final norm.
CASES: dict[str, dict[str, Any]] = {
    "whole maps": {},
    "windows": {"window": 3, "global_blocks": (1, 3)},
    "relative positions": {"window": 4, "global_blocks": (1, 3), "rel_pos_tokens": 16},
    "all relative": {"rel_pos_tokens": 7},
}


def detectron2_vit(case: str) -> nn.Module:
    """Detectron2's ViT of the case with trained-looking weights, relative positions too."""
    from detectron2.modeling.backbone.vit import ViT

    options = CASES[case]
    depth = PLAIN["depth"]
    windows = [n for n in range(depth) if options.get("window") and n not in options["global_blocks"]]
    model = ViT(
        img_size=options.get("rel_pos_tokens", 16) * PATCH,
        patch_size=PATCH,
        embed_dim=PLAIN["embed_dim"],
        depth=depth,
        num_heads=PLAIN["num_heads"],
        norm_layer=partial(nn.LayerNorm, eps=PLAIN["norm_eps"]),
        use_rel_pos="rel_pos_tokens" in options,
        window_size=options.get("window", 0),
        window_block_indexes=windows,
        pretrain_img_size=PATCH * SIDE,
    )
    return trained(model)


def weights(case: str) -> dict[str, torch.Tensor]:
    """The same weights without Detectron2: names, shapes and order are those of its class."""
    width, each = PLAIN["embed_dim"], PLAIN["embed_dim"] // PLAIN["num_heads"]
    options = CASES[case]
    module = nn.Module()

    def add(name: str, *shape: int) -> None:
        owner = module
        *path, last = name.split(".")
        for part in path:
            if not hasattr(owner, part):
                owner.add_module(part, nn.Module())
            owner = getattr(owner, part)
        owner.register_parameter(last, nn.Parameter(torch.zeros(shape)))

    def layer(name: str, *shape: int) -> None:
        add(f"{name}.weight", *shape)
        add(f"{name}.bias", shape[0])

    add("pos_embed", 1, SIDE * SIDE + 1, width)
    layer("patch_embed.proj", width, 3, PATCH, PATCH)
    for number in range(PLAIN["depth"]):
        block = f"blocks.{number}"
        windows = options.get("window") and number not in options["global_blocks"]
        side = options["window"] if windows else options.get("rel_pos_tokens", 0)
        layer(f"{block}.norm1", width)
        if "rel_pos_tokens" in options:
            add(f"{block}.attn.rel_pos_h", 2 * side - 1, each)
            add(f"{block}.attn.rel_pos_w", 2 * side - 1, each)
        layer(f"{block}.attn.qkv", 3 * width, width)
        layer(f"{block}.attn.proj", width, width)
        layer(f"{block}.norm2", width)
        layer(f"{block}.mlp.fc1", 4 * width, width)
        layer(f"{block}.mlp.fc2", width, 4 * width)
    return trained(module).state_dict()


def numbers(found: torch.Tensor) -> list[float]:
    return found.flatten()[::KEPT].tolist()


def main() -> None:
    content = {}
    for case in CASES:
        model = detectron2_vit(case)
        for size in SIZES:
            with torch.no_grad():
                (found,) = model(images(size, 1)).values()
            content[f"{case}, {size[0]}x{size[1]}"] = [float(f"{number:.8g}") for number in numbers(found)]
    STORED.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
