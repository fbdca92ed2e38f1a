"""A process of a run comes in; one that meets the others, stops, fails and reports as they do goes out."""
