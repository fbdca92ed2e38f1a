"""Predictions on COCO and LVIS come in; their metrics and result files go out."""
