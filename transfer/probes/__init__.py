"""Features and labels come in as tensors or arrays; predictions and numbers go out: no files, no networks.

Every package may import these functions; of our own code they import the errors alone.
"""
