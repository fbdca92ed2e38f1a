"""COCO, LVIS, DensePose and own annotation files come in; checked columns and records go out."""
