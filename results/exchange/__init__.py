"""Records come in; the forms in which others exchange results go out, each from the same numbers."""
