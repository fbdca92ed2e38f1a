"""Data sets of every task, read into Detectron2's standard dataset dicts; no engine and no torch in here.

Nothing is imported here, so that `python -m transfer.datasets` can say in one line what is not installed.
"""
