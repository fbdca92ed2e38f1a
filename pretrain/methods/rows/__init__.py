"""Outputs of networks come in; a loss goes out: one file a joint-embedding method, found by its name."""
