"""The bytes of a pickle come in; plain containers, numbers and described tensors go out."""
