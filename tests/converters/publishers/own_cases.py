"""The cases of this project's own pre-training whose files are laid out as nobody else's."""

from __future__ import annotations

from tests.converters.foreign_names import prefixed
from tests.converters.publishers.files import Case, torch_case
from tests.converters.publishers.states import pair, wrapped

OWN: tuple[Case, ...] = (
    Case(
        "pretrain_simclr",
        torch_case(lambda q, k: wrapped(prefixed(q, "module.encoder.")) | {"simclr": {}}),
        "pretrain_simclr",
        "single",
    ),
    Case(
        "pretrain_nnclr",
        torch_case(lambda q, k: wrapped(prefixed(q, "module.encoder_q.")) | {"nnclr": {}}),
        "pretrain_nnclr",
        "single",
    ),
    Case(
        "pretrain_ressl",
        torch_case(
            lambda q, k: wrapped(pair(q, k, "module.encoder_q.", "module.encoder_k.")) | {"ressl": {}}
        ),
        "pretrain_ressl",
    ),
)
