"""Who publishes checkpoints, and how each is recognised: the table that contributors edit."""
