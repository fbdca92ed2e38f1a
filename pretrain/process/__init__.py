"""Ties one process of a run to the other processes, to its terminal and to the system."""
