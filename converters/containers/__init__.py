"""The bytes of any checkpoint come in; described tensors go out, and no code of the file is run."""
