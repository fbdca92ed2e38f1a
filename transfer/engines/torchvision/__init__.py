"""The embedded engine: Detectron2's semantics composed from torchvision's parts, where it is not installed.

A method is overridden only where Detectron2 differs, and says so. Parameters carry Detectron2's names in
every file (see `names`), so weights move between the engines unchanged.
"""
