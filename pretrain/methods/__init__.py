"""Two views of a batch come in; what is learned from them goes out: one file a method."""
