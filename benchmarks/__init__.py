"""Suites, inits and trials come in; cells that have run and their tables go out, by `benchmarks/run.py`."""
