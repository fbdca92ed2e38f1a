"""An image, its id, a corruption and its severity come in; the corrupted image goes out."""
