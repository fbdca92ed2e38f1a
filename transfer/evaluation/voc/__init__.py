"""Predicted boxes on VOC come in; its average precision and the devkit's files go out."""
