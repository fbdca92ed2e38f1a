"""Any self-supervised ResNet checkpoint in, a proven Detectron2 backbone file out, and no code of the file is
run.
"""
