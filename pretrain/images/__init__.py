"""Folders, lists and shards come in; batches of augmented views go out, a function of the seed."""
