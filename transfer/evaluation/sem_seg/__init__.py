"""Predicted class maps come in; intersection over union and result files go out."""
