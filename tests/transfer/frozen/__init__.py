"""Mirrors transfer/frozen."""
