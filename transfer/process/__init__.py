"""What one process of a run shares with the others, with its terminal, its memory and the disk."""
