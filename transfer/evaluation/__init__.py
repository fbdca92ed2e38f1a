"""Metrics of every task on plain predictions; no engine and no torch in here.

Nothing is imported here, so that `python -m transfer.evaluation` can say in one line what is not installed.
"""
