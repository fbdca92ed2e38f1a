"""Defines the published settings of the probes. It imports no torch: command lines read them before."""

from __future__ import annotations

import math

KNN_NEIGHBOURS, KNN_TEMPERATURE = 200, 0.07  # Wu et al. 2018, on ImageNet: about 1300 images a class
KNN_COUNTS = (10, 20, 100, 200)  # DINO's eval_knn.py; papers print the best of them, which is mostly 20

# DINOv2's log_regression.py: inverse penalties of a summed loss, as scikit-learn has them. SimCLR, BYOL and
# Ericsson et al. have the same 45 numbers as penalties, so their grid is this one's reciprocals.
C_GRID = tuple(10 ** (-6 + 11 * i / 44) for i in range(45))

# VISSL's SVM of VOC07, which SwAV, VICReg and others report.
SVM_COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
SVM_FOLDS = 3
SVM_POSITIVE_WEIGHT = 2.0
SVM_SHOTS, SVM_SAMPLES = (1, 2, 4, 8, 16, 32, 64, 96), 5

# Ericsson et al. 2021, section A.3: 5-way episodes of {5, 20, 50} shots.
EPISODE_WAYS, EPISODE_QUERIES, EPISODES = 5, 15, 600

LOST_PATCHES = 100  # of the lowest degree, from which the seed of LOST is expanded
CALIBRATION_BINS = 15


def neighbours(smallest_class: int) -> int:
    """Chooses how many neighbours vote, from the images of the smallest class among those that vote.

    They are the published 200 where it has 1000 or more, else fewer by the root of that number, and never
    more than it has: it could not win a vote of many others. docs/pretraining.md has the measurement.
    """
    return min(KNN_NEIGHBOURS, smallest_class, round(math.sqrt(smallest_class * KNN_NEIGHBOURS / 5)))
