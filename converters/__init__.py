"""Any self-supervised checkpoint comes in; a proven Detectron2 backbone file goes out, and no code is run."""
