"""One fine-tuning run from backbone to metrics: build, load the init, train, precise BN, predict, score."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from boltons.fileutils import atomic_save
from torch import nn
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.datasets.base import Dataset
from transfer.datasets.records import joined
from transfer.engines.base import Engine
from transfer.engines.choose import load_engine
from transfer.errors import DiskError
from transfer.evaluation.evaluate import evaluate, write_predictions
from transfer.evaluation.picture import save_samples
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import json_ready
from transfer.process.disk import disk_line, is_full, writing
from transfer.process.distributed import World
from transfer.process.gather import cpu_group, gather, share
from transfer.process.progress import progress
from transfer.recipes.resolve import unflatten
from transfer.samples.loader import Metadata, Record, evaluation_batches, training_batches, training_records
from transfer.training import finite as gates
from transfer.training.load_backbone import LoadReport, load_backbone_into, random_report
from transfer.training.loop import seed_iteration, train
from transfer.training.outcome import keep_metrics
from transfer.training.precise_bn import precise_bn

INIT_STREAM, STATISTICS_STREAM = 2, 1


@dataclass(frozen=True)
class Job:
    """All that a run needs; plain values, so that it travels to other processes."""

    recipe: dict[str, Any]  # flat and resolved, the manifest's keys included
    engine: str
    seed: int
    label: str
    directory: str
    micro_steps: int = 1  # processes that each process stands in for
    deterministic: bool = False  # see `transfer.process.deterministic`


def run(
    world: World, job: Job, backbone: Backbone | None, training: Sequence[Dataset], test: Dataset
) -> dict[str, Any]:
    """Runs the job in this process of `world`; every process returns a JSON-ready outcome.

    Keys: metrics and account, the same everywhere; durations_s, images_per_s and peak_memory_bytes of its
    own. In the job's directory it leaves log.jsonl, model_final.pth (Detectron2's names), predictions/,
    per_class.json and samples.png.
    """
    cfg = unflatten(job.recipe)
    engine = load_engine(job.engine)
    directory = Path(job.directory)
    group = cpu_group(world)
    records = training_records(joined([dataset.records for dataset in training]), cfg)
    metadata = training[0].metadata

    seed_iteration(job.seed, INIT_STREAM, 0, 0)
    model = engine.build(cfg, world.device)
    account = _load_init(engine, model, backbone, cfg, job.label)
    durations: dict[str, float] = {}
    clock = _Clock(durations)
    durations["train"] = train(
        engine, model, cfg, records, metadata, directory, job.seed, world, job.micro_steps
    )
    clock.restart()
    if cfg.TEST.PRECISE_BN.ENABLED:
        _precise_bn(engine, model, cfg, records, metadata, job, world)
        clock.lap("precise_bn")
    if world.main:
        _save_model(engine, model, directory / "model_final.pth")
    predictions = gather(_predict(engine, model, cfg, test, world), len(test.records), world, group)
    clock.lap("predict")
    metrics = None if predictions is None else _score(test, predictions, directory, clock)
    return {
        "metrics": share(metrics, world, group),
        "account": asdict(account),
        "durations_s": durations,
        "images_per_s": cfg.SOLVER.MAX_ITER * cfg.SOLVER.IMS_PER_BATCH / max(durations["train"], 1e-9),
        "peak_memory_bytes": _peak_memory(world.device),
    }


def _picture(test: Dataset, predictions: Sequence[Prediction], path: Path) -> None:
    """A picture is no number: where it cannot be drawn, a line says so and the run finishes."""
    try:
        save_samples(test, predictions, path)
    except Exception as error:
        if is_full(error):
            raise DiskError(disk_line(error, str(path))) from error
        print(f"no picture: {path}: {type(error).__name__}: {error}", file=sys.stderr)


def _load_init(
    engine: Engine, model: nn.Module, backbone: Backbone | None, cfg: CfgNode, label: str
) -> LoadReport:
    state = engine.state(model)
    if backbone is None:
        return random_report(state, cfg)
    return load_backbone_into(state, backbone, cfg, label)


def _precise_bn(
    engine: Engine,
    model: nn.Module,
    cfg: CfgNode,
    records: Sequence[Record],
    metadata: Metadata,
    job: Job,
    world: World,
) -> None:
    """The batches that would have come next in training; afterwards all ranks hold rank 0's statistics."""
    model.train()
    number = cfg.TEST.PRECISE_BN.NUM_ITER * job.micro_steps
    data = training_batches(
        records,
        cfg,
        metadata,
        job.seed,
        start=cfg.SOLVER.MAX_ITER,
        rank=world.rank,
        world_size=world.size,
        micro_steps=job.micro_steps,
    )
    with progress("precise BN", number, quiet=not world.main) as advance:

        def forward(numbered: tuple[int, Any]) -> None:
            iteration, batch = numbered
            seed_iteration(job.seed, STATISTICS_STREAM, iteration, world.rank)
            with gates.memory_advice("precise BN", "INPUT.MIN_SIZE_TRAIN"):
                engine.losses(model, batch)
            advance("")

        precise_bn(model, zip(range(number), data), forward)  # noqa: B905  # the data never ends
    if world.size > 1:  # pixel counts differ between ranks, and so would the pooled statistics
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
    gates.refuse_weights(model, cfg.SOLVER.MAX_ITER, world.size)


def _predict(engine: Engine, model: nn.Module, cfg: CfgNode, test: Dataset, world: World) -> list[Prediction]:
    """Predictions of this process's share of the test set, in its order."""
    model.eval()
    records = test.records[world.rank :: world.size]
    mine: list[Prediction] = []
    with progress("predict", len(records), quiet=not world.main) as advance:
        for batch in evaluation_batches(records, cfg):
            with gates.memory_advice("prediction", "INPUT.MIN_SIZE_TEST"):
                mine.extend(engine.predict(model, batch))
            advance("")
    return mine


def _score(
    test: Dataset, predictions: Sequence[Prediction], directory: Path, clock: _Clock
) -> dict[str, dict[str, float | None]]:
    """The metrics, null where undefined; leaves predictions/, per_class.json and samples.png."""
    scores = evaluate(test, predictions)
    clock.lap("evaluate")
    metrics: dict[str, dict[str, float | None]] = json_ready(scores.summary)
    keep_metrics(directory, metrics)  # whatever fails from here on
    with writing(directory):
        write_predictions(test, predictions, directory / "predictions")
        with atomic_save(str(directory / "per_class.json"), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps(json_ready(scores.per_class), indent=1, allow_nan=False))
    _picture(test, predictions, directory / "samples.png")
    return metrics


def _save_model(engine: Engine, model: nn.Module, path: Path) -> None:
    """The tuned detector under Detectron2's names; Detectron2 and both our engines load it."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in engine.state(model).items()}
    needed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    with writing(path, needed), atomic_save(str(path), overwrite_part=True) as file:
        torch.save({"model": state}, file)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Clock:
    def __init__(self, durations: dict[str, float]):
        self.durations, self.last = durations, time.monotonic()

    def restart(self) -> None:
        self.last = time.monotonic()

    def lap(self, name: str) -> None:
        """The time since the last lap or restart was that of `name`."""
        self.durations[name] = time.monotonic() - self.last
        self.restart()
