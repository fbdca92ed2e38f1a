"""The name of a data set comes in; its records, metadata and ground truth go out. No engine, no torch.

Nothing is imported here, so that `python -m transfer.datasets` can say in one line what is not installed.
"""
