"""A converted backbone, a recipe and data sets come in; a tuned model and its metrics go out."""
