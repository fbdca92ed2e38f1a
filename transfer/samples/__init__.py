"""Records come in; batches of samples for a detector or a segmentor go out, a function of the seed."""
