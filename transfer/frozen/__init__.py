"""In: a backbone and a labelled image set. Out: features, made once, and what probes of them score."""
