"""Metrics of every task on plain predictions; no engine and no torch in here."""

from transfer.evaluation.evaluate import evaluate, evaluate_per_class, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction

__all__ = ["Prediction", "evaluate", "evaluate_per_class", "read_predictions", "write_predictions"]
