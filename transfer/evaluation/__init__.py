"""A data set and plain predictions come in; scores and official result files go out. No engine, no torch.

Nothing is imported here, so that `python -m transfer.evaluation` can say in one line what is not installed.
"""
