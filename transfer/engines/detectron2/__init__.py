"""A recipe and samples come in; losses and predictions of the real Detectron2 go out: the reference."""
