"""Lists the published augmentations as rows, one a view. It imports nothing: command lines read them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One augmentation recipe; `steps` is the order of the colour steps between crop and flip."""

    steps: tuple[str, ...]
    jitter_probability: float
    strengths: tuple[float, float, float, float]  # brightness, contrast, saturation, hue
    gray_probability: float
    blur_probability: float
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    scale: tuple[float, float] = (0.2, 1.0)  # share of the image's area that a crop takes
    solarise_probability: float = 0.0
    bicubic: bool = False  # the resizing, else bilinear


ALL = ("jitter", "gray", "blur", "solarise")
_STRONG = (0.8, 0.8, 0.8, 0.2)  # SimCLR's at strength 1
_SOFT = (0.4, 0.4, 0.2, 0.1)  # BYOL's


def _soft(scale: tuple[float, float], blur: float, solarise: float = 0.0, *, bicubic: bool = True) -> Recipe:
    """BYOL's colours, which Barlow Twins, VICReg, MoCo v3, DINO and iBOT took over."""
    return Recipe(ALL, 0.8, _SOFT, 0.2, blur, scale=scale, solarise_probability=solarise, bicubic=bicubic)


def _pair(name: str, scale: tuple[float, float], *, bicubic: bool = True) -> dict[str, Recipe]:
    """The two views of BYOL's table 6: one always blurred, the other seldom, but solarised now and then."""
    return {
        f"{name}_1": _soft(scale, 1.0, bicubic=bicubic),
        f"{name}_2": _soft(scale, 0.1, 0.2, bicubic=bicubic),
    }


def _dino(name: str, large: tuple[float, float], small: tuple[float, float]) -> dict[str, Recipe]:
    """Two large crops that differ as BYOL's do, and the small ones of multi-crop."""
    return {**_pair(name, large), f"{name}_local": _soft(small, 0.5)}


RECIPES = {
    # InstDisc's, as the published code has it
    "v1": Recipe(("gray", "jitter"), 1.0, (0.4, 0.4, 0.4, 0.4), 0.2, 0.0),
    # MoCo v2's (--aug-plus)
    "v2": Recipe(("jitter", "gray", "blur"), 0.8, (0.4, 0.4, 0.4, 0.1), 0.2, 0.5),
    # crop and flip, for linear evaluation
    "linear": Recipe((), 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, 0.0, scale=(0.08, 1.0)),
    # simclr/tf2/data_util.py, but for its kernel, which ends at a tenth of the image
    "simclr": Recipe(ALL[:3], 0.8, _STRONG, 0.2, 0.5, scale=(0.08, 1.0), bicubic=True),
    # byol/utils/augmentations.py; barlowtwins main.py and vicreg augmentations.py are the same
    **_pair("byol", (0.08, 1.0)),
    # moco-v3 main_moco.py, which resizes bilinearly: ResNet (--crop-min .2) and ViT
    **_pair("moco_v3", (0.2, 1.0), bicubic=False),
    **_pair("moco_v3_vit", (0.08, 1.0), bicubic=False),
    # swav src/multicropdataset.py: 2 crops and 6 of 96 pixels, bilinear
    "swav": Recipe(ALL[:3], 0.8, _STRONG, 0.2, 0.5, scale=(0.14, 1.0)),
    "swav_local": Recipe(ALL[:3], 0.8, _STRONG, 0.2, 0.5, scale=(0.05, 0.14)),
    # dino main_dino.py: 2 crops and 8 of 96 pixels; its README for ResNet-50; ibot README: 10 local ones
    **_dino("dino", (0.4, 1.0), (0.05, 0.4)),
    **_dino("dino_resnet", (0.14, 1.0), (0.05, 0.14)),
    **_dino("ibot", (0.25, 1.0), (0.05, 0.25)),
    # mae main_pretrain.py; the weak view of ReSSL is the same, bilinear
    "mae": Recipe((), 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, 0.0, bicubic=True),
    "weak": Recipe((), 0.0, (0.0, 0.0, 0.0, 0.0), 0.0, 0.0),
}
