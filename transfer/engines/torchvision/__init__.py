"""A recipe and samples come in; losses and predictions go out as Detectron2's, which need not be installed.

It is composed from torchvision's parts: a method is overridden only where Detectron2 differs, and says so.
Parameters carry Detectron2's names in every file (see `names`), so weights move between engines unchanged.
"""
