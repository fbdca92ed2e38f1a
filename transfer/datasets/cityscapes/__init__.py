"""Cityscapes' frames and polygons come in; records with instances or class maps go out."""
