"""The records of studies come in; comparisons, curves, correlations and the page of evidence go out."""
