"""Predicted surfaces come in; their similarity to the annotated points goes out."""
