"""Lists the rows of files that this project writes, laid out as nobody else's."""

from __future__ import annotations

from converters.publishers.row import EMA, INFERRED, ONLINE, RESNET_OR_CONVNEXT, SINGLE, Layout, Source

OWN: tuple[Source, ...] = (
    Source(
        "moco_encoders",
        "MoCo's encoders without the queue, as the demo's weights",
        (Layout("", "encoder_q.", ONLINE), Layout("", "encoder_k.", EMA)),
        "benchmarks/demo_kit/make.py",
        ONLINE,
        "encoder_q.fc",
        status=INFERRED,
        note="others could have these names, too: --source tells",
    ),
    Source(
        "pretrain_simclr",
        "this project's pretrain, SimCLR",
        (Layout("state_dict", "encoder.", SINGLE, ("/simclr",)),),
        "pretrain/methods/rows/simclr.py",
        dropped="projector, optimizer",
        dialects=RESNET_OR_CONVNEXT,
    ),
    Source(
        "pretrain_nnclr",
        "this project's pretrain, NNCLR",
        (Layout("state_dict", "encoder_q.", SINGLE, ("/nnclr",)),),
        "pretrain/methods/rows/nnclr.py",
        dropped="encoder_q.fc (an MLP with norms), predictor, nnclr (the queue), optimizer",
        dialects=RESNET_OR_CONVNEXT,
    ),
    Source(
        "pretrain_ressl",
        "this project's pretrain, ReSSL",
        (
            Layout("state_dict", "encoder_q.", ONLINE, ("/ressl",)),
            Layout("state_dict", "encoder_k.", EMA, ("/ressl",)),
        ),
        "pretrain/methods/rows/ressl.py",
        ONLINE,
        "encoder_q.fc (an MLP), ressl (the queue), optimizer",
        dialects=RESNET_OR_CONVNEXT,
    ),
)
