"""Predictions on Cityscapes come in; its metrics and its server's files go out."""
