"""Rows over many data sets come in; their means, ranks and tests and a critical-difference picture go out."""
