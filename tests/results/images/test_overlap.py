"""Mean IoU over resampled images against the metric's own counting of a resampled list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transfer.evaluation.scenes import load, spoil, truth
from transfer.datasets.class_maps import read_class_map
from transfer.evaluation.sem_seg.metric import class_map, count, evaluate_sem_seg, scores_of
from transfer.evaluation.sem_seg.overlaps import sem_seg_outcomes


def test_mean_iou_of_resampled_images(tmp_path: Path, reread: Any) -> None:
    data = load("voc_semantic", tmp_path)
    ours = spoil(data, truth(data), 1)
    measure = reread(sem_seg_outcomes(data, ours)).measure("sem_seg/mIoU")
    assert measure.value() == pytest.approx(
        evaluate_sem_seg(data, ours).summary["sem_seg"]["mIoU"], rel=1e-12
    )
    classes, n = len(data.metadata["stuff_classes"]), len(data.records)
    tables = []
    for record, prediction in zip(data.records, ours, strict=True):
        label = read_class_map(record["sem_seg_file_name"], data.metadata["sem_seg_encoding"])
        tables.append(count(label, class_map(prediction, label.shape, classes), classes))
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=20)
    for drawn, value in zip(counts, measure.at(counts), strict=True):
        expected, _ = scores_of(sum(c * table for c, table in zip(drawn, tables, strict=True)))
        assert value == pytest.approx(expected["mIoU"], rel=1e-12)
    theirs = reread(sem_seg_outcomes(data, spoil(data, truth(data), 2))).measure("sem_seg/mIoU")
    found = measure.compared(theirs, 200)
    assert found is not None
    assert found.interval[0] <= measure.value() - theirs.value() <= found.interval[1]
    assert 0 < found.p <= 1
