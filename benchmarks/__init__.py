"""From suites and inits to cells, runs and tables: `python benchmarks/run.py --suite voc_c4 --init moco.pkl`."""
