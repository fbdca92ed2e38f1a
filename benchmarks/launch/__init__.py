"""Where cells run: on this machine, or as jobs of a Slurm cluster; the records are the same."""
