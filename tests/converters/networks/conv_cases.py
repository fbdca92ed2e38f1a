"""ConvNeXts as their publishers store them, each with the maps of an independent class where one is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.converters.networks.hierarchies import (
    CONV,
    V1,
    V2,
    State,
    need,
    ours,
    prefixed,
    renamed,
    sparse,
    trained,
)
from tests.converters.publishers.files import linear

XXL: dict[str, Any] = {"depths": [3, 4, 30, 3], "dims": [2, 2, 2, 2], "norm_eps": 1e-5}
Maps = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Case:
    """A file's content with the maps that it must give, or the weights by our names."""

    name: str
    make: Callable[[], tuple[Any, Maps | None, State | None]]
    source: str
    dialect: str
    facts: dict[str, Any] = field(default_factory=dict)  # what is not as in CONV with V1


def timm_net(**options: Any) -> nn.Module:
    timm = need("timm")
    grn = options.get("use_grn", False)
    net = timm.models.convnext.ConvNeXt(
        depths=CONV["depths"], dims=CONV["dims"], num_classes=9, ls_init_value=None if grn else 1.0, **options
    )
    return trained(net)


def timm_maps(net: Any) -> Maps:
    return lambda x: net.forward_intermediates(x, intermediates_only=True)


def xxlarge(prefix: str) -> Callable[[], tuple[Any, None, None]]:
    """Of its depth, which tells it, and thin."""

    def make() -> tuple[Any, None, None]:
        net = need("timm").models.convnext.ConvNeXt(depths=(3, 4, 30, 3), dims=(2, 2, 2, 2), num_classes=9)
        return prefixed(trained(net).state_dict(), prefix), None, None

    return make


def as_timm(grn: bool) -> tuple[State, Maps]:
    """A file by Facebook's names, and timm's network with what its own code makes of the file."""
    state = ours(CONV | (V2 if grn else V1)) | linear("head", 9, 40)
    net: Any = timm_net(use_grn=grn)
    convnext = need("timm").models.convnext
    net.load_state_dict(convnext.checkpoint_filter_fn(dict(state), net))
    return state, timm_maps(net)


def facebook() -> tuple[Any, Maps, State]:
    state, maps = as_timm(grn=False)
    return {"model": state}, maps, ours(CONV | V1)


def facebook_v2() -> tuple[Any, Maps, State]:
    state, maps = as_timm(grn=True)
    return {"model": state}, maps, ours(CONV | V2)


def facebook_detector() -> tuple[Any, None, State]:
    state = ours(CONV | V1 | {"final_norm": False})
    norms = {f"norm{i}.{p}": torch.ones(w) for i, w in enumerate(CONV["dims"]) for p in ("weight", "bias")}
    whole = prefixed(state | norms, "backbone.") | linear("roi_head.bbox_head.fc_cls")
    return {"meta": {"epoch": 36}, "state_dict": whole}, None, state


def dinov3() -> tuple[Any, Maps, State]:
    state, maps = as_timm(grn=False)
    again = {name.replace("norm.", "norms.3."): t.clone() for name, t in state.items() if name[:5] == "norm."}
    weights = {name: tensor for name, tensor in state.items() if not name.startswith("head")}
    return weights | again, maps, weights


def timm_file(**options: Any) -> Callable[[], tuple[Any, Maps, None]]:
    def make() -> tuple[Any, Maps, None]:
        net = timm_net(**options)
        return net.state_dict(), timm_maps(net), None

    return make


def open_clip() -> tuple[Any, Maps, None]:
    net = timm_net()
    state = {n: t for n, t in net.state_dict().items() if not n.startswith("head.fc")}
    text = {"logit_scale": torch.ones(()), "positional_embedding": torch.ones(4, 8)}
    text |= linear("transformer.resblocks.0.mlp.c_fc") | linear("visual.head.proj")
    return prefixed(state, "visual.trunk.") | text, timm_maps(net), None


def torchvision_file() -> tuple[Any, Maps, None]:
    from torchvision.models import convnext as theirs

    widths = [*CONV["dims"], None]
    settings = [
        theirs.CNBlockConfig(widths[i], widths[i + 1], depth)  # type: ignore[arg-type]
        for i, depth in enumerate(CONV["depths"])
    ]
    net: Any = trained(theirs.ConvNeXt(settings, num_classes=9))

    def maps(x: Tensor) -> list[Tensor]:
        found = []
        for place, part in enumerate(net.features):
            x = part(x)
            found += [x] if place % 2 else []
        return found

    return net.state_dict(), maps, None


def huggingface(name: str, **options: Any) -> Callable[[], tuple[Any, Maps, None]]:
    """The names on disk, which are not always those of the living model."""

    def make() -> tuple[Any, Maps, None]:
        transformers = need("transformers")
        config = getattr(transformers, f"{name}Config")(
            depths=CONV["depths"], hidden_sizes=CONV["dims"], layer_norm_eps=1e-6, **options
        )
        net = trained(getattr(transformers, f"{name}Model")(config))

        def maps(x: Tensor) -> list[Tensor]:
            return list(net(x, output_hidden_states=True).hidden_states[1:])

        return net, maps, None

    return make


def mmpretrain(facts: dict[str, bool]) -> Callable[[], tuple[Any, None, State]]:
    def make() -> tuple[Any, None, State]:
        state = ours(CONV | facts)
        theirs = renamed(
            state, (r"\bdwconv", "depthwise_conv"), (r"\bpwconv", "pointwise_conv"), (r"^norm", "norm3")
        )
        theirs = {n: t.flatten() if ".grn." in n else t for n, t in theirs.items()}
        return {"meta": {}, "state_dict": prefixed(theirs, "backbone.") | linear("head.fc")}, None, state

    return make


def fcmae() -> tuple[Any, None, State]:
    state = ours(CONV | V2 | {"final_norm": False})
    return {"model": sparse(state)}, None, state


CASES = (
    Case("facebook", facebook, "convnext", "convnext"),
    Case("facebook-v2", facebook_v2, "convnext", "convnext", V2),
    Case("facebook-detector", facebook_detector, "convnext_detector", "convnext", {"final_norm": False}),
    Case("dinov3", dinov3, "dinov3_convnext", "convnext"),
    Case("timm", timm_file(), "timm_convnext", "convnext_timm"),
    Case("timm-convolved", timm_file(conv_mlp=True), "timm_convnext", "convnext_timm_convolved"),
    Case("timm-norm-first", timm_file(head_norm_first=True), "timm_convnext", "convnext_timm"),
    Case("timm-v2", timm_file(use_grn=True), "timm_convnext", "convnext_timm", V2),
    Case(
        "timm-v2-convolved",
        timm_file(use_grn=True, conv_mlp=True),
        "timm_convnext",
        "convnext_timm_convolved",
        V2,
    ),
    Case("open_clip", open_clip, "open_clip_convnext", "convnext_timm"),
    Case("timm-xxlarge", xxlarge(""), "timm_convnext_xxlarge", "convnext_timm", XXL),
    Case("open_clip-xxlarge", xxlarge("visual.trunk."), "open_clip_convnext_xxlarge", "convnext_timm", XXL),
    Case("torchvision", torchvision_file, "torchvision_convnext", "convnext_torchvision"),
    Case("huggingface", huggingface("ConvNext"), "huggingface_convnext", "convnext_huggingface"),
    Case("huggingface-v2", huggingface("ConvNextV2"), "huggingface_convnext", "convnext_huggingface", V2),
    Case(
        "huggingface-dinov3", huggingface("DINOv3ConvNext"), "dinov3_convnext", "convnext_huggingface_dinov3"
    ),
    Case("mmpretrain", mmpretrain(V1), "mmpretrain", "convnext_mmpretrain"),
    Case("mmpretrain-v2", mmpretrain(V2), "mmpretrain", "convnext_mmpretrain", V2),
    Case("fcmae", fcmae, "fcmae", "fcmae", V2 | {"final_norm": False}),
)
