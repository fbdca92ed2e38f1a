"""Searches Revisited Oxford and Paris for what queries show: features of several scales, one ranking."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from transfer.datasets.image_list.images import Images
from transfer.datasets.image_list.public.revisited import RetrievalSet
from transfer.evaluation.per_image import Outcomes
from transfer.frozen.probes import Result
from transfer.frozen.view import AtMost
from transfer.frozen.work import Finish, Finished, Work, there
from transfer.probes import retrieval

KINDS = {"M": "medium", "H": "hard", "E": "easy"}


def revisited_step(work: Work, train: RetrievalSet, test: RetrievalSet) -> Finish:
    """mAP over the queries, of medium, hard and easy images; junk is taken out of the ranking."""
    boxes = {}
    if work.cfg.PROBE.CROP_QUERIES:
        boxes = dict(zip(test.queries.ids, map(tuple, test.boxes.tolist()), strict=True))
    index, asked = _features(work, test.images, {}), _features(work, test.queries, boxes)

    def finish() -> Finished:
        ranks = retrieval.ranking(there(asked), there(index))
        cuts = [k for k in retrieval.CUTS if k <= len(test.images)]
        easy, hard, junk = _lists(test)
        found = retrieval.revisited(ranks, easy, hard, junk, cuts)
        numbers = {f"mAP_{short}": found[kind].mean for short, kind in KINDS.items()}
        precision = {k: {kind: found[kind].mean_at(k) for kind in found} for k in cuts}
        metrics, arrays = {}, {}
        for short, kind in KINDS.items():
            if np.isfinite(found[kind].average_precision).all():  # a query without such images has no AP
                metrics[f"retrieval/mAP_{short}"] = {"kind": "mean", "of": kind}
                arrays[f"{kind}.value"] = found[kind].average_precision / 100
        ids = test.queries.ids
        kept = Outcomes(ids, metrics, arrays, "query") if metrics else None
        told = {"precision_at": {str(k): of for k, of in precision.items()}}
        result = Result({"retrieval": numbers}, told, None if kept is None else lambda _: kept)
        return Finished(result, None, ids)  # of length 1: their norms tell nothing

    return finish


def _lists(test: RetrievalSet) -> list[list[list[int]]]:
    return [[row.tolist() for row in rows] for rows in (test.easy, test.hard, test.junk)]


def _features(work: Work, images: Images, boxes: dict[str, tuple[float, ...]]) -> np.ndarray | None:
    """(N, D) of length 1: the mean over the scales of features of length 1; the main process has them."""
    total: torch.Tensor | None = None
    for scale in work.cfg.PROBE.SCALES:
        made = work.features(images, AtMost(work.cfg.PROBE.SIDE, scale, boxes), one_by_one=True)
        if made is not None:
            one = F.normalize(torch.from_numpy(np.array(made)), dim=1)
            total = one if total is None else total + one
    return None if total is None else F.normalize(total, dim=1).numpy()
