"""Runs one fine-tuning from backbone to metrics: build, load the init, train, precise BN, predict, score."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boltons.fileutils import atomic_save
from torch import nn
from yacs.config import CfgNode

from converters.backbone import Backbone
from converters.trackers import Tracker
from transfer.datasets.base import Dataset
from transfer.datasets.records import column, joined
from transfer.engines.base import Engine
from transfer.engines.choose import load_engine
from transfer.engines.federated import class_weights, set_class_weights
from transfer.errors import DiskError
from transfer.evaluation.evaluate import errors, evaluate, outcomes, write_predictions
from transfer.evaluation.per_image import FILE as PER_IMAGE
from transfer.evaluation.per_image import save_outcomes
from transfer.evaluation.picture import save_samples
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import json_ready
from transfer.evaluation.tide import FILE as TIDE
from transfer.evaluation.tide import save_errors
from transfer.process.disk import disk_line, is_full, writing
from transfer.process.distributed import World
from transfer.process.draws import INIT, seed_torch
from transfer.process.gather import cpu_group, gather, share
from transfer.process.memory import memory_advice
from transfer.process.progress import progress
from transfer.recipes.patches import in_pixels
from transfer.samples.loader import evaluation_batches, training_batches, training_records
from transfer.samples.sample import Sample
from transfer.training.finite import refuse_weights
from transfer.training.learner import Learner
from transfer.training.load_backbone import LoadReport, load_backbone_into, random_report
from transfer.training.load_model import load_model_into
from transfer.training.loop import Batches, train
from transfer.training.outcome import Metrics, forget_metrics, keep_metrics
from transfer.training.precise_bn import measure_statistics
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher


@dataclass(frozen=True)
class RunRequest:
    """All that a run needs, to be sent to its processes."""

    recipe: CfgNode  # resolved, the manifest's keys included
    engine: str
    seed: int
    label: str
    directory: str
    micro_steps: int = 1  # processes that each process stands in for
    deterministic: bool = False  # see `transfer.process.deterministic`
    model: Mapping[str, np.ndarray] | None = None  # a fine-tuned one, which is evaluated and not trained
    trackers: Sequence[Tracker] = ()  # of the main process, which begins them itself


def run(
    world: World, request: RunRequest, backbone: Backbone | None, training: Sequence[Dataset], test: Dataset
) -> dict[str, Any]:
    """Runs the request in this process of `world`; every process returns a JSON-ready outcome.

    Keys: metrics and account, the same everywhere; precision, where it was not the recipe's; durations_s,
    images_per_s and peak_memory_bytes of its own. In the request's directory it leaves log.jsonl,
    model_final.pth (Detectron2's names), predictions/, per_class.json, per_image.npz, tide.json and
    samples.png; the first two not where the request has a model.
    """
    cfg, engine = in_pixels(request.recipe), load_engine(request.engine)
    directory = Path(request.directory)
    group = cpu_group(world)

    seed_torch(request.seed, INIT)
    model = build_model(engine, cfg, training, world.device)
    durations: dict[str, float] = {}
    precision = None
    if request.model is None:
        account = _load_init(engine, model, backbone, cfg, request.label)
        batches = _training_data(cfg, training, request, world)
        precision = _tune(cfg, engine, model, batches, request, world, durations)
    else:
        account = load_model_into(engine.state(model), request.model)
        if world.main:
            forget_metrics(directory)
    clock = Clock(durations)
    records = test.records[world.rank :: world.size]
    mine = _predict(engine, model, evaluation_batches(records, cfg), len(records), quiet=not world.main)
    predictions = gather(mine, len(test.records), world, group)
    clock.lap("predict")
    metrics = None if predictions is None else _score(test, predictions, directory, clock)
    return {
        "metrics": share(metrics, world, group),
        "account": asdict(account),
        **({"precision": precision} if precision else {}),
        "durations_s": durations,
        "images_per_s": _speed(cfg, durations),
        "peak_memory_bytes": peak_memory(world.device),
    }


def _tune(
    cfg: CfgNode,
    engine: Engine,
    model: nn.Module,
    batches: Batches,
    request: RunRequest,
    world: World,
    durations: dict[str, float],
) -> str | None:
    """Trains the model, measures its statistics where the recipe does, and saves it.

    Returns the number format of the steps where it was not the recipe's.
    """
    durations["train"], precision = _train(cfg, engine, model, batches, request, world)
    clock = Clock(durations)
    if cfg.TEST.PRECISE_BN.ENABLED:
        number = cfg.TEST.PRECISE_BN.NUM_ITER * request.micro_steps
        # On the batches that would have come next in training.
        measure_statistics(engine, model, batches(cfg.SOLVER.MAX_ITER), number, request.seed, world)
        refuse_weights(model, cfg.SOLVER.MAX_ITER, world.size)
        clock.lap("precise_bn")
    if world.main:
        _save_model(engine, model, Path(request.directory) / "model_final.pth")
    return precision


def _speed(cfg: CfgNode, durations: dict[str, float]) -> float | None:
    """The images of training in a second; None where nothing was trained."""
    if "train" not in durations:
        return None
    return float(cfg.SOLVER.MAX_ITER * cfg.SOLVER.IMS_PER_BATCH / max(durations["train"], 1e-9))


def _training_data(cfg: CfgNode, training: Sequence[Dataset], request: RunRequest, world: World) -> Batches:
    """This process's batches of the joined training sets."""
    records = training_records(joined([dataset.records for dataset in training]), cfg)
    metadata = training[0].metadata
    place = {"rank": world.rank, "world_size": world.size, "micro_steps": request.micro_steps}

    def batches(start: int) -> Iterator[list[Sample]]:
        return training_batches(records, cfg, metadata, request.seed, start=start, **place)

    return batches


def build_model(engine: Engine, cfg: CfgNode, training: Sequence[Dataset], device: torch.device) -> nn.Module:
    """Builds the recipe's model; a federated loss is told how often the training sets have each class."""
    model = engine.build(cfg, device)
    if cfg.MODEL.ROI_BOX_HEAD.USE_FED_LOSS:
        categories = column(joined([dataset.records for dataset in training]), "categories")
        number, power = cfg.MODEL.ROI_HEADS.NUM_CLASSES, cfg.MODEL.ROI_BOX_HEAD.FED_LOSS_FREQ_WEIGHT_POWER
        set_class_weights(model, class_weights(categories, number, power))
    return model


def _load_init(
    engine: Engine, model: nn.Module, backbone: Backbone | None, cfg: CfgNode, label: str
) -> LoadReport:
    state = engine.state(model)
    if backbone is None:
        return random_report(state, cfg)
    return load_backbone_into(state, backbone, cfg, label)


def _train(
    cfg: CfgNode, engine: Engine, model: nn.Module, batches: Batches, request: RunRequest, world: World
) -> tuple[float, str | None]:
    """Trains the model; returns the seconds, and the number formats where `Precision.told` has some.

    What training alone needs (optimizer, shared gradients) is freed behind it.
    """
    learner = Learner(engine, model, cfg, request.seed, world, request.micro_steps)
    precision = learner.precision
    if world.main and precision.format != precision.recipes:
        print(
            f"SOLVER.AMP: trains in {precision.format}, since this processor is not known to compute in "
            f"{precision.recipes} and emulating it takes tens of times longer; the record says so",
            file=sys.stderr,
        )
    saver = Saver(Path(request.directory), learner, trackers=request.trackers)
    seconds = train(cfg, learner, batches, saver, Watcher(learner))
    return seconds, precision.told


def _predict(
    engine: Engine, model: nn.Module, batches: Iterator[list[Sample]], total: int, quiet: bool
) -> list[Prediction]:
    """The predictions of the `total` images that `batches` bring, in their order."""
    model.eval()
    found: list[Prediction] = []
    with progress("predict", total, quiet=quiet) as advance:
        for batch in batches:
            with memory_advice("prediction", "INPUT.MIN_SIZE_TEST"):
                found.extend(engine.predict(model, batch))
            advance("")
    return found


def _score(test: Dataset, predictions: Sequence[Prediction], directory: Path, clock: Clock) -> Metrics:
    """The metrics, null where undefined.

    Leaves predictions/, per_class.json, samples.png, and per_image.npz and tide.json of tasks that have them.
    """
    scores = evaluate(test, predictions)
    clock.lap("evaluate")
    metrics: Metrics = json_ready(scores.summary)
    keep_metrics(directory, metrics)  # whatever fails from here on
    with writing(directory):
        write_predictions(test, predictions, directory / "predictions")
        with atomic_save(str(directory / "per_class.json"), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps(json_ready(scores.per_class), indent=1, allow_nan=False))
        for name in (PER_IMAGE, TIDE):
            (directory / name).unlink(missing_ok=True)  # one of a run before is not of these predictions
        if (kept := outcomes(test, predictions)) is not None:
            save_outcomes(kept, directory / PER_IMAGE)
    with _optional("error analysis", directory / TIDE):
        if told := errors(test, predictions):
            save_errors(told, directory / TIDE)
    with _optional("picture", directory / "samples.png"):
        save_samples(test, predictions, directory / "samples.png")
    return metrics


@contextmanager
def _optional(what: str, path: Path) -> Iterator[None]:
    """Makes a file that no number depends on; where that fails, a line says so and the run goes on."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise DiskError(disk_line(error, str(path))) from error
        print(f"no {what}: {path}: {type(error).__name__}: {error}", file=sys.stderr)


def _save_model(engine: Engine, model: nn.Module, path: Path) -> None:
    """The tuned detector under Detectron2's names; Detectron2 and both our engines load it."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in engine.state(model).items()}
    needed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    with writing(path, needed), atomic_save(str(path), overwrite_part=True) as file:
        torch.save({"model": state}, file)


def peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Clock:
    """Measures the stages of a run one after the other."""

    def __init__(self, durations: dict[str, float]):
        self.durations, self.last = durations, time.monotonic()

    def lap(self, name: str) -> None:
        """The time since the last lap was that of `name`."""
        now = time.monotonic()
        self.durations[name], self.last = now - self.last, now
