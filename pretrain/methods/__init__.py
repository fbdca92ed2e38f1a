"""Views of a batch come in; a loss goes out, by which an encoder learns: one file a method."""
