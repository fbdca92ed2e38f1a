"""Generated sets and finished cells come in; the demo's objects, its verdict and its picture go out."""
