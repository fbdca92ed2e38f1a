"""From suites and inits to cells, runs and tables; `benchmarks/run.py` is the command."""
