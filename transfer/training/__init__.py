"""A model and its batches come in; a trained model goes out, or one line that says why not."""
