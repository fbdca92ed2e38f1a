"""Feature maps come in; proposals and the features of regions go out."""
