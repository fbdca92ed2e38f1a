"""What one process of a run shares with the others, with its terminal and with the system."""
