"""A method and its batches come in; checkpoints go out, from which a run goes on to the bit."""
