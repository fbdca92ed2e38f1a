"""The manifest of a backbone comes in; its function, a module with the tensors of the file, goes out."""
