"""The cases: for every row of the publishers' table at least one file. A test checks that none is missing."""

from __future__ import annotations

import torch

from tests.converters import foreign_names as names
from tests.converters.checkpoint_nets import to_detectron2
from tests.converters.foreign_names import prefixed, renamed
from tests.converters.publishers.files import (
    OPTIONS,
    Case,
    deepmind,
    detectron2_c4,
    huggingface,
    lightning_case,
    linear,
    msra,
    norm,
    npid,
    permuted,
    saved,
    torch_case,
    zoo,
)
from tests.converters.publishers.own_cases import OWN
from tests.converters.publishers.states import (
    LIGHTLY,
    SOLO,
    SWAV,
    densecl,
    dino,
    moco,
    moco_v3,
    obow,
    pair,
    pycontrast,
    supervised,
    vissl,
    wrapped,
)

CASES: tuple[Case, ...] = (
    Case("moco", torch_case(moco), "moco"),
    Case("moco-legacy", torch_case(moco, _use_new_zipfile_serialization=False), "moco"),
    Case("moco-encoders", torch_case(lambda q, k: pair(q, k, "encoder_q.", "encoder_k.")), "moco_encoders"),
    Case("supervised", torch_case(supervised), "supervised", "single"),
    Case("moco_v3", torch_case(moco_v3), "moco_v3"),
    *OWN,
    Case(
        "simclr_v1",
        lambda q, k, d: saved({"state_dict": permuted(q) | linear("fc")}, d / "s.pth"),
        "simclr_v1",
        "single",
    ),
    Case(
        "simclr_v2",
        torch_case(
            lambda q, k: {"resnet": renamed(q, names.simclr_v2) | linear("fc"), "head": linear("layers.0")}
        ),
        "simclr_v2",
        "single",
    ),
    Case(
        "bolts_simclr",
        lightning_case(
            lambda q, k: prefixed(q, "encoder.") | linear("encoder.fc") | linear("projection.model.0")
        ),
        "bolts_simclr",
        "single",
    ),
    Case(
        "bolts_moco",
        lightning_case(lambda q, k: pair(q, k, "encoder_q.", "encoder_k.", queue=torch.ones(4, 4))),
        "bolts_moco",
    ),
    Case("byol", deepmind("by reference"), "byol"),
    Case("byol-dill", deepmind("created"), "byol"),
    Case(
        "byol_isd",
        torch_case(
            lambda q, k: (
                pair(q, k, "encoder_q.", "encoder_k.") | linear("encoder_q.fc.0") | linear("predict_q.0")
            )
        ),
        "byol_isd",
    ),
    Case(
        "byol_port",
        torch_case(
            lambda q, k: (
                pair(q, k, "online_encoder.net.", "target_encoder.net.") | linear("online_predictor.0")
            )
        ),
        "byol_port",
    ),
    Case(
        "byol_port-children",
        torch_case(
            lambda q, k: {
                "online_network_state_dict": {},
                "state_dict": pair(
                    renamed(q, names.children),
                    renamed(k, names.children),
                    "online_network.encoder.",
                    "target_network.encoder.",
                ),
            }
        ),
        "byol_port",
    ),
    Case("swav", torch_case(lambda q, k: prefixed(q, "module.") | SWAV), "swav", "single"),
    Case("swav-local", torch_case(lambda q, k: wrapped(prefixed(q, "module.") | SWAV)), "swav", "single"),
    Case("npid", npid, "npid", "single"),
    Case("pycontrast", torch_case(pycontrast), "pycontrast"),
    Case(
        "pcl", torch_case(lambda q, k: wrapped(pair(q, k, "module.encoder_q.", "module.encoder_k."))), "pcl"
    ),
    Case(
        "resim",
        torch_case(
            lambda q, k: wrapped(
                pair(q, k, "module.encoder_q.", "module.encoder_k.") | linear("module.encoder_q.fpn_lateral2")
            )
        ),
        "resim",
    ),
    Case(
        "adco",
        torch_case(lambda q, k: wrapped(pair(q, k, "module.encoder_q.", "module.encoder_k."))),
        "adco",
        stated="adco",
    ),
    Case(
        "msf",
        torch_case(
            lambda q, k: wrapped(
                pair(q, k, "encoder_q.module.", "encoder_t.module.") | linear("predict_q.module.0"),
                opt=OPTIONS,
            )
        ),
        "msf",
    ),
    Case(
        "simsiam",
        torch_case(
            lambda q, k: wrapped(
                prefixed(q, "module.encoder.")
                | linear("module.encoder.fc.0")
                | norm("module.encoder.fc.1")
                | linear("module.predictor.0")
            )
        ),
        "simsiam",
        "single",
    ),
    Case(
        "barlow_twins-full",
        torch_case(
            lambda q, k: wrapped(
                prefixed(q, "module.backbone.") | linear("module.projector.0") | norm("module.bn"), "model"
            )
        ),
        "barlow_twins",
        "single",
    ),
    Case("barlow_twins", torch_case(lambda q, k: q), "barlow_twins", "single", stated="barlow_twins"),
    Case(
        "vicreg-full",
        torch_case(
            lambda q, k: wrapped(prefixed(q, "module.backbone.") | linear("module.projector.0"), "model")
        ),
        "vicreg",
        "single",
    ),
    Case(
        "vicregl-full",
        torch_case(
            lambda q, k: wrapped(
                prefixed(q, "module.backbone.")
                | linear("module.projector.0")
                | linear("module.maps_projector.0"),
                "model",
                best_acc=OPTIONS,
            )
        ),
        "vicregl",
        "single",
    ),
    Case("dino", torch_case(lambda q, k: dino(student=k, teacher=q)), "dino", "ema"),
    Case("dino-backbone", torch_case(lambda q, k: q), "dino", "ema", stated="dino"),
    Case("obow", torch_case(obow), "obow"),
    Case("obow-exported", torch_case(lambda q, k: {"network": q | linear("fc")}), "obow"),
    Case("densecl", torch_case(densecl), "densecl"),
    Case("densecl-released", torch_case(lambda q, k: {"state_dict": q, "author": "OpenSelfSup"}), "densecl"),
    Case(
        "pixpro",
        torch_case(
            lambda q, k: wrapped(
                pair(q, k, "module.encoder.", "module.encoder_k.")
                | linear("module.projector.linear1")
                | linear("module.value_transform"),
                "model",
                opt=OPTIONS,
            )
        ),
        "pixpro",
    ),
    Case(
        "soco",
        torch_case(
            lambda q, k: wrapped(
                pair(q, k, "module.encoder.", "module.encoder_k.")
                | linear("module.neck.lateral_convs.0.conv")
                | linear("module.head.0"),
                "model",
            )
        ),
        "soco",
    ),
    Case(
        "supcon",
        torch_case(
            lambda q, k: wrapped(
                renamed(q, names.shortcut, "encoder.module.") | linear("head.0"), "model", opt=OPTIONS
            )
        ),
        "supcon",
        "single",
    ),
    Case(
        "solo_learn",
        lightning_case(lambda q, k: pair(q, k, "backbone.", "momentum_backbone.") | SOLO),
        "solo_learn",
    ),
    Case(
        "solo_learn-old",
        lightning_case(lambda q, k: pair(q, k, "encoder.", "momentum_encoder.") | SOLO),
        "solo_learn",
    ),
    Case(
        "lightly", lightning_case(lambda q, k: pair(q, k, "backbone.", "key_backbone.") | LIGHTLY), "lightly"
    ),
    Case(
        "vissl_dino",
        torch_case(
            lambda q, k: vissl(
                k,
                prefixed(q, "momentum_teacher.module.trunk._feature_blocks.") | {"center": torch.zeros(1, 4)},
            )
        ),
        "vissl_dino",
        "ema",
    ),
    Case("vissl", torch_case(lambda q, k: vissl(q, {})), "vissl", "single"),
    Case(
        "mmselfsup",
        torch_case(
            lambda q, k: {
                "meta": {"cfg": OPTIONS},
                "state_dict": prefixed(q, "backbone.")
                | prefixed(k, "encoder_k.module.0.")
                | linear("neck.mlp.0")
                | {"queue": torch.ones(4, 4)},
            }
        ),
        "mmselfsup",
    ),
    Case("mmselfsup-extracted", torch_case(lambda q, k: {"meta": {}, "state_dict": q}), "mmselfsup"),
    Case(
        "lightning",
        lightning_case(lambda q, k: pair(q, k, "model._orig_mod.net.", "ema_model.net.")),
        "lightning",
    ),
    Case("huggingface", huggingface, "huggingface", "single", stride_in_1x1=True),
    Case("msra", msra, "msra", "single", stride_in_1x1=True),
    Case("detectron2_zoo", zoo, "detectron2_zoo", "single"),
    Case("detectron2_training", torch_case(detectron2_c4), "detectron2_training", "single"),
    Case(
        "detectron2_training-fpn",
        torch_case(
            lambda q, k: wrapped(
                renamed(q, to_detectron2, "backbone.bottom_up.") | linear("backbone.fpn_lateral2"), "model"
            )
        ),
        "detectron2_training",
        "single",
    ),
    Case(
        "pycls",
        torch_case(lambda q, k: wrapped(renamed(q, names.pycls) | linear("head.fc"), "model_state")),
        "pycls",
        "single",
    ),
    Case("timm", torch_case(lambda q, k: q | linear("fc")), "timm", "single", stated="timm"),
    Case("torchvision", torch_case(lambda q, k: q | linear("fc")), "torchvision", "single"),
    Case("unknown", torch_case(lambda q, k: {"best": {"nets": pair(q, k, "a.b.", "teacher.")}}), "unknown"),
)
