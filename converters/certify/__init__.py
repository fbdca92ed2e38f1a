"""A checkpoint and its publisher's code come in; a certificate that both compute the same goes out."""
