"""Takes maps of a backbone and gives logits, losses and class maps, by heads that both engines share."""
