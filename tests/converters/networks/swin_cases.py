"""Swins as their publishers store them, each with the maps of an independent class where one is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.converters.networks.conv_cases import Case, Maps
from tests.converters.networks.hierarchies import (
    SHIFTED,
    State,
    need,
    ours,
    prefixed,
    renamed,
    trained,
    with_index,
)
from tests.converters.publishers.files import linear

INDEX = "attn.relative_position_index"


def timm_net(size: tuple[int, int] = (128, 128)) -> Any:
    timm = need("timm")
    keys = ("embed_dim", "depths", "num_heads")
    return timm.models.swin_transformer.SwinTransformer(
        img_size=size, window_size=4, num_classes=9, **{key: SHIFTED[key] for key in keys}
    ).eval()


def timm_maps(state: State) -> Maps:
    """The maps of timm's network with a state of its own names; its masks are made for one size."""

    def maps(x: Tensor) -> list[Tensor]:
        net = timm_net((x.shape[2], x.shape[3]))
        net.load_state_dict({name: t for name, t in state.items() if INDEX not in name})
        return net.forward_intermediates(x, intermediates_only=True)

    return maps


def by_timm(state: State) -> Maps:
    """The maps of timm's network with what timm makes of a file by Microsoft's names."""
    theirs = need("timm").models.swin_transformer
    state = state | linear("head", 9, 64)
    return timm_maps(theirs.checkpoint_filter_fn(dict(state), timm_net()))


def microsoft() -> tuple[Any, Maps, State]:
    state = ours(SHIFTED)
    return {"model": with_index(state) | linear("head", 9, 64)}, by_timm(state), state


def ibot() -> tuple[Any, Maps, State]:
    state = ours(SHIFTED)
    content = {"state_dict": with_index(state) | linear("head.mlp.0") | linear("head_instance.mlp.0")}
    return content, by_timm(state), state


def ibot_run() -> tuple[Any, None, State]:
    """Of a whole run: the teacher is the one that is evaluated."""
    teacher, student = ours(SHIFTED), ours(SHIFTED, seed=1)
    content = {
        "teacher": prefixed(with_index(teacher), "backbone.") | linear("head.mlp.0"),
        "student": prefixed(with_index(student), "module.backbone.") | linear("module.head.mlp.0"),
        "epoch": 9,
    }
    return content, None, teacher


def microsoft_detector() -> tuple[Any, None, State]:
    state = ours(SHIFTED | {"final_norm": False})
    norms = {f"norm{i}.{part}": torch.ones(8 << i) for i in range(4) for part in ("weight", "bias")}
    whole = prefixed(with_index(state) | norms, "backbone.") | linear("neck.lateral_convs.0.conv")
    return {"meta": {"epoch": 36}, "state_dict": whole}, None, state


def detectron2() -> tuple[Any, Maps, State]:
    """Of Detectron2's class where it is here: its maps have norms of their own, which are left out."""
    theirs = need("detectron2.modeling.backbone.swin")
    keys = ("embed_dim", "depths", "num_heads")
    net = theirs.SwinTransformer(window_size=4, **{key: SHIFTED[key] for key in keys})
    trained(net)
    for i in range(4):
        setattr(net, f"norm{i}", nn.Identity())
    state = net.state_dict()
    weights = {name: tensor for name, tensor in state.items() if INDEX not in name}
    norms = {f"norm{i}.{part}": torch.ones(8 << i) for i in range(4) for part in ("weight", "bias")}
    whole = prefixed(state | norms, "backbone.bottom_up.") | linear("backbone.fpn_lateral2")

    def maps(x: Tensor) -> list[Tensor]:
        return list(net(x).values())

    return {"model": whole, "iteration": 9}, maps, weights


def timm_file() -> tuple[Any, Maps, None]:
    state = trained(timm_net()).state_dict()
    return state, timm_maps(state), None


def torchvision_file() -> tuple[Any, Maps, None]:
    from torchvision.models.swin_transformer import SwinTransformer

    net: Any = trained(
        SwinTransformer([4, 4], 8, SHIFTED["depths"], SHIFTED["num_heads"], [4, 4], num_classes=9)
    )

    def maps(x: Tensor) -> list[Tensor]:
        found = []
        for place, part in enumerate(net.features):
            x = part(x)
            found += [x.permute(0, 3, 1, 2)] if place % 2 else []
        return found

    return net.state_dict(), maps, None


def huggingface(living: bool) -> Callable[[], tuple[Any, Maps, None]]:
    def make() -> tuple[Any, Maps, None]:
        transformers = need("transformers")
        keys = ("embed_dim", "depths", "num_heads")
        config = transformers.SwinConfig(window_size=4, image_size=128, **{key: SHIFTED[key] for key in keys})
        net = trained(transformers.SwinModel(config))

        def last(x: Tensor) -> list[Tensor]:
            """The last stage alone, behind the final norm: the rest of it is only there after merging."""
            rows = -(-x.shape[2] // 32)
            found = net(x, interpolate_pos_encoding=False).last_hidden_state
            return [found.transpose(1, 2).unflatten(2, (rows, -1))]

        return net.state_dict() if living else net, last, None

    return make


def mmpretrain() -> tuple[Any, None, State]:
    state = ours(SHIFTED)
    theirs = renamed(
        with_index(state),
        (r"^patch_embed\.proj", "patch_embed.projection"),
        (r"^layers", "stages"),
        (r"\battn\.", "attn.w_msa."),
        (r"mlp\.fc1", "ffn.layers.0.0"),
        (r"mlp\.fc2", "ffn.layers.1"),
        (r"^norm", "norm3"),
        (r"\battn_mask", "attn_mask"),
    )
    theirs = {
        n: by_channel(t) if ".downsample." in n else t for n, t in theirs.items() if "attn_mask" not in n
    }
    return {"meta": {}, "state_dict": prefixed(theirs, "backbone.") | linear("head.fc")}, None, state


def by_channel(tensor: Tensor) -> Tensor:
    """The inputs of a downsampling as nn.Unfold sorts them, by channel; slowly, one by one."""
    width = tensor.shape[-1] // 4
    places = [(column * 2 + row) * width + c for c in range(width) for row in (0, 1) for column in (0, 1)]
    return tensor[..., places].clone()


CASES = (
    Case("microsoft", microsoft, "swin", "swin"),
    Case("ibot", ibot, "ibot_swin", "swin"),
    Case("ibot-run", ibot_run, "ibot_swin", "swin"),
    Case("microsoft-detector", microsoft_detector, "swin_detector", "swin", {"final_norm": False}),
    Case("detectron2", detectron2, "detectron2_swin", "swin", {"final_norm": False}),
    Case("timm", timm_file, "timm_swin", "swin_timm"),
    Case("torchvision", torchvision_file, "torchvision_swin", "swin_torchvision"),
    Case("huggingface", huggingface(living=False), "huggingface_swin", "swin_huggingface"),
    Case("huggingface-living", huggingface(living=True), "huggingface_swin", "swin_huggingface_5"),
    Case("mmpretrain", mmpretrain, "mmpretrain", "swin_mmpretrain"),
)
