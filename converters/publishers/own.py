"""Lists the rows of this project's own pre-training whose files are laid out as nobody else's."""

from __future__ import annotations

from converters.publishers.row import EMA, ONLINE, RESNET_OR_CONVNEXT, SINGLE, Layout, Source

OWN: tuple[Source, ...] = (
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
