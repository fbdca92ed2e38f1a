"""Data sets of every task, read into Detectron2's standard dataset dicts; no engine and no torch in here."""

from transfer.datasets.base import Dataset
from transfer.datasets.registry import dataset_names, describe_layout, load_dataset

__all__ = ["Dataset", "dataset_names", "describe_layout", "load_dataset"]
