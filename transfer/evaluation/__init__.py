"""Metrics of every task on plain predictions; no engine and no torch in here."""

from transfer.evaluation.evaluate import evaluate, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores, json_ready

__all__ = ["Prediction", "Scores", "evaluate", "json_ready", "read_predictions", "write_predictions"]
