"""Lists the optimizers of the published methods as rows. It imports no torch: command lines read them.

The values are those of the official code for the run that the comment above a row names. A run replaces any
of them by `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KINDS = ("sgd", "lars", "lars_tf", "larc", "adamw")


@dataclass(frozen=True)
class Freeze:
    """Parameters that rest: those with `part` in their name, for so long from the start, else always."""

    part: str
    epochs: int = 0
    iterations: int = 0

    def until(self, per_epoch: int) -> int | None:
        """The first iteration that moves them; None: there is none."""
        return self.iterations + self.epochs * per_epoch or None


@dataclass(frozen=True)
class Optimizer:
    """An optimizer with the schedules of its rate and its weight decay.

    kind: `lars` has the rate outside of the momentum, `lars_tf` (SimCLR's) inside, as classic momentum has
    it; `larc` is apex's with clip=False, whose ratio counts the weight decay beside the gradient.
    """

    kind: str
    lr: float
    wd: float
    per_256: bool = True  # rates are those of 256 images and grow with the batch
    wd_end: float | None = None  # where half a cosine leads, an iteration at a time; None: constant
    momentum: float = 0.9  # not of AdamW
    betas: tuple[float, float] = (0.9, 0.999)  # of AdamW
    eps: float = 1e-8  # of AdamW and LARC
    eta: float = 0.001  # the trust coefficient of LARS and LARC
    exclude: str = "none"  # "1d": biases and norms are neither decayed nor adapted
    bias_lr: float | None = None  # the rate of the excluded where it is another
    constant: tuple[str, ...] = ()  # beginnings of names whose rate stays at its base
    warmup_epochs: int = 0
    warmup_start: float = 0.0  # the rate of the first iteration, as a share
    warmup_inclusive: bool = False  # the last iteration of the warm-up has the full rate already
    end_lr: float = 0.0  # absolute
    end_share: float = 0.0  # the same as a share of the rate; the larger of the two holds
    by_epoch: bool = False  # the rate is constant within an epoch
    clip: float | None = None  # the norm to which the gradient of each parameter is cut
    freeze: tuple[Freeze, ...] = ()


_DINO = Optimizer(
    "adamw",
    lr=5e-4,
    wd=0.04,
    wd_end=0.4,
    exclude="1d",
    warmup_epochs=10,
    warmup_inclusive=True,
    end_lr=1e-6,
    clip=3.0,
    freeze=(Freeze("last_layer", epochs=1),),
)

PUBLISHED = {
    # google-research/simclr README, linear scaling: its root of the batch is equal at 4096 images
    "simclr": Optimizer("lars_tf", lr=0.3, wd=1e-4, exclude="1d", warmup_epochs=10),
    # deepmind-research/byol configs/byol.py, 1000 epochs
    "byol": Optimizer("lars", lr=0.2, wd=1.5e-6, exclude="1d", warmup_epochs=10),
    # facebookresearch/simsiam README: --fix-pred-lr
    "simsiam": Optimizer("sgd", lr=0.05, wd=1e-4, constant=("predictor.",), by_epoch=True),
    # facebookresearch/barlowtwins main.py
    "barlow": Optimizer(
        "lars", lr=0.2, wd=1e-6, exclude="1d", bias_lr=0.0048, warmup_epochs=10, end_share=1e-3
    ),
    # facebookresearch/vicreg main_vicreg.py
    "vicreg": Optimizer("lars", lr=0.2, wd=1e-6, exclude="1d", warmup_epochs=10, end_share=1e-3),
    # facebookresearch/swav scripts/swav_800ep_pretrain.sh, 4096 images: 0.3, then 4.8, then 0.0048
    "swav": Optimizer(
        "larc",
        lr=0.3,
        wd=1e-6,
        warmup_epochs=10,
        warmup_start=1 / 16,
        warmup_inclusive=True,
        end_share=1e-3,
        freeze=(Freeze("prototypes", iterations=313),),
    ),
    # facebookresearch/dino main_dino.py, ViT
    "dino": _DINO,
    # facebookresearch/dino README, ResNet-50
    "dino_resnet": replace(_DINO, kind="sgd", lr=0.03, wd=1e-4, wd_end=None),
    # bytedance/ibot main_ibot.py
    "ibot": _DINO,
    # facebookresearch/moco-v3 CONFIG.md, ResNet-50, 1000 epochs
    "moco_v3": Optimizer("lars", lr=0.3, wd=1.5e-6, exclude="1d", warmup_epochs=10),
    # facebookresearch/moco-v3 CONFIG.md, ViT: --stop-grad-conv1
    "moco_v3_vit": Optimizer(
        "adamw", lr=1.5e-4, wd=0.1, warmup_epochs=40, freeze=(Freeze("patch_embed.proj."),)
    ),
    # facebookresearch/mae PRETRAIN.md
    "mae": Optimizer("adamw", lr=1.5e-4, wd=0.05, betas=(0.9, 0.95), exclude="1d", warmup_epochs=40),
}
