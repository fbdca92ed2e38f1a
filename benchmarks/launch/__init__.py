"""Cells come in; processes that run them go out, on this machine, several or Slurm's."""
