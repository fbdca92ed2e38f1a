"""A manifest's facts come in; a module with the backbone file's tensor names goes out, and computes maps."""
