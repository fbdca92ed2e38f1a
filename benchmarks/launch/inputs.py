"""Reads what a cell needs by its job file: the function that runs it, its request, its weights, its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from yacs.config import CfgNode

from benchmarks.planning.download import file_sha256
from benchmarks.planning.labelled import is_probe, own_from_json, read_labelled
from benchmarks.planning.own_weights import own_weights, read_weights
from converters.backbone import Backbone, CheckpointError, load_backbone
from results.record import Evaluated
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.images import decode_each
from transfer.datasets.limit import limited
from transfer.datasets.records import column, joined
from transfer.datasets.registry import load_dataset
from transfer.errors import TransferError
from transfer.process.distributed import Member
from transfer.recipes.own import with_code
from transfer.run import RunRequest, run
from transfer.samples.loader import look_through


def inputs_of(content: dict[str, Any], cfg: CfgNode, place: Member | None) -> tuple[Any, ...]:
    """(the function that runs the cell in a world, its other arguments), of the content of a job file.

    DataError or TransferError where the data are not those of the plan, CheckpointError for the weights.
    """
    return (
        _labelled(content, cfg) if is_probe(content["record"]["recipe"]) else _annotated(content, cfg, place)
    )


def _request(content: dict[str, Any], cfg: CfgNode) -> tuple[RunRequest, Backbone | None]:
    record = content["record"]
    backbone = None if content["backbone"] is None else load_backbone(content["backbone"])
    if code := content.get("code"):
        cfg = with_code(cfg, code["file"])
        backbone = own_weights(code["weights"], record["init_manifest"])
    request = RunRequest(
        *(cfg, content["engine"], record["seed"], record["init"], content["directory"]),
        micro_steps=record["scaling"]["micro_steps"],
        deterministic=record["identity"].get("deterministic", False),
        model=_model(content["model"], record["evaluated"]) if "model" in content else None,
    )
    return request, backbone


def _model(path: str, told: Evaluated) -> dict[str, np.ndarray]:
    """The weights of a fine-tuned model; CheckpointError where the file is not the one of the plan."""
    if not Path(path).is_file() or file_sha256(Path(path)) != told["sha256"]:
        raise CheckpointError(f"{path} changed or went since the plan was made; start the command again")
    return read_weights(path)


def _annotated(content: dict[str, Any], cfg: CfgNode, place: Member | None) -> tuple[Any, ...]:
    root = Path(content["data_root"])
    own = {name: OwnDataset.from_json(name, one) for name, one in content["datasets"].items()}
    training = [load_dataset(name, root, own) for name in cfg.DATASETS.TRAIN]
    test = load_dataset(cfg.DATASETS.TEST[0], root, own)
    _check_content(content, [*training, test])
    if cut := content["record"].get("truncated"):
        test = limited(test, cut["images"])
    arguments = _request(content, cfg)
    if place is None or place.rank == 0:  # one that cannot be read would be found behind all training
        decode_each(column(test.records, "file_name").tolist(), "open test images")
    if content["num_processes"] > 1 and place is None:
        look_through(joined([dataset.records for dataset in training]), cfg)
    return (run, *arguments, training, test)


def _labelled(content: dict[str, Any], cfg: CfgNode) -> tuple[Any, ...]:
    """As `inputs_of`; each process reads the images itself, for the labels of a test are not passed on."""
    from transfer.frozen.run import run as probe
    from transfer.frozen.sets import Sources

    root, own = Path(content["data_root"]), own_from_json(content["labelled"])
    boxes = {name: OwnDataset.from_json(name, one) for name, one in content["datasets"].items()}
    training, test = read_labelled(cfg, root, own, boxes)
    _check_content(content, [*training, test])
    cut = content["record"].get("truncated")
    features, limit = Path(content["output"]) / "features", cut["images"] if cut else 0
    sources = Sources(root, own, features, boxes, limit)
    return (probe, *_request(content, cfg), sources)


def _check_content(content: dict[str, Any], datasets: Sequence[Dataset[Any]]) -> None:
    found = "+".join(dataset.summary["sha256"] for dataset in datasets)
    if found != content["record"]["identity"]["data_sha256"]:
        raise TransferError(
            f"the data under {content['data_root']} changed since the plan was made; start again"
        )
