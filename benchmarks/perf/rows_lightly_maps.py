"""Makes lightly's steps that look at the places of a map: DenseCL's and MAE's. `rows_lightly` says how."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.perf.rows_lightly_kit import Kit
from benchmarks.perf.rows_ours import Training, row_of


def _densecl(kit: Kit) -> Training:
    network, width = kit.encoder(), kit.width()
    maps = nn.Sequential(*list(network.children())[:-2])
    one = kit.head("DenseCLProjectionHead", "projector", width, width, 128)
    each = kit.head("DenseCLProjectionHead", "dense", width, width, 128)
    slow = [kit.resting(copy.deepcopy(module)) for module in (maps, one, each)]
    pool = nn.AdaptiveAvgPool2d((1, 1))
    of_all, of_places = kit.with_queue("memory.queue"), kit.with_queue("memory.queue2")

    def outputs(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = maps(x)
        whole = one(pool(found).flatten(start_dim=1))
        found = found.flatten(start_dim=2).permute(0, 2, 1)
        return found, whole, each(found)

    def forward() -> Tensor:
        features, query, queries = outputs(kit.views[0])
        with torch.no_grad():
            key_features, key, keys = outputs(kit.views[1])
        keys = kit.utils.select_most_similar(features, key_features, keys)
        local = of_places(queries.flatten(end_dim=1), keys.flatten(end_dim=1))
        return 0.5 * of_all(query, key) + 0.5 * local

    parameters = [p for module in (maps, one, each) for p in module.parameters()]
    sgd = torch.optim.SGD(parameters, lr=kit.rate(0.03), momentum=0.9, weight_decay=1e-4)
    return kit.training(forward, sgd, maps, *zip((maps, one, each), slow, strict=True))


def _mae(kit: Kit) -> Training:
    encoder, embed, decoder, told = _autoencoder(kit)
    (images,), length = kit.views, encoder.sequence_length
    kept, rng = row_of(kit.setting).visible(length - 1), torch.Generator()  # type: ignore[attr-defined]
    patch, criterion = encoder.vit.patch_embed.patch_size[0], nn.MSELoss()

    def forward() -> Tensor:
        """The masks are those that ours draws; lightly's own draws as many numbers and sorts them, too."""
        drawn = torch.rand(len(images), length - 1, generator=rng.manual_seed(1), device="cpu")
        order = drawn.to(images.device).argsort(1) + 1
        keep = torch.cat([torch.zeros(len(images), 1, dtype=torch.long), order[:, :kept]], 1)
        mask = order[:, kept:]
        x = embed(encoder.encode(images=images, idx_keep=keep))
        tokens = x.new_zeros(len(images), length, x.shape[-1])
        tokens = kit.utils.set_at_index(tokens, keep, x.type_as(tokens))
        predicted = told(kit.utils.get_at_index(decoder(tokens, idx_mask=mask), mask))
        patches = kit.utils.patchify(images, patch)
        return criterion(predicted, kit.utils.get_at_index(patches, mask - 1))

    groups = kit.groups(encoder, embed, decoder, told)
    adamw = torch.optim.AdamW(groups, lr=kit.rate(1.5e-4), weight_decay=0.05, betas=(0.9, 0.95))
    return kit.training(forward, adamw, encoder)


def _autoencoder(kit: Kit) -> tuple[Any, nn.Module, Any, nn.Module]:
    """timm's transformer in lightly's encoder, the layer before its decoder, the decoder, the last layer."""
    import timm
    from lightly.models.modules import MaskedVisionTransformerDecoderTIMM, MaskedVisionTransformerTIMM

    row: Any = row_of(kit.setting)
    state = row.layout.written(dict(kit.method.state_dict()))["model"]
    size = kit.setting.image_size
    vit: Any = timm.create_model(f"{kit.setting.arch}_224", img_size=size, num_classes=0, global_pool="")
    encoder: Any = MaskedVisionTransformerTIMM(vit=vit)
    decoder: Any = MaskedVisionTransformerDecoderTIMM(
        num_patches=vit.patch_embed.num_patches,
        embed_dim=row.decoder_width,
        depth=row.decoder_depth,
        num_heads=row.decoder_heads,
        num_prefix_tokens=1,
    )
    embed = nn.Linear(vit.embed_dim, row.decoder_width)
    told = nn.Linear(row.decoder_width, 3 * vit.patch_embed.patch_size[0] ** 2)
    own = {name: value for name, value in state.items() if not name.startswith(("decoder_", "mask_token"))}
    vit.load_state_dict(own)
    rest = {name.removeprefix("decoder_"): value for name, value in state.items() if name not in own}
    for module, name in ((embed, "embed."), (told, "pred.")):
        module.load_state_dict({k.removeprefix(name): rest.pop(k) for k in list(rest) if k.startswith(name)})
    decoder.load_state_dict(rest)
    return encoder, embed, decoder, told


MAPS = {"densecl": _densecl, "mae": _mae}
