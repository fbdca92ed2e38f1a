"""Foreign tensor names and shapes come in; the family, its facts and Detectron2's names go out."""
