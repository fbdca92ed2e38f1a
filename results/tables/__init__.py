"""Records and published numbers come in; tables go out, in five formats and as a frame for notebooks."""
