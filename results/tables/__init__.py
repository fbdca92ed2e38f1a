"""Records and published numbers come in; tables go out, as text, Markdown, LaTeX, CSV and HTML."""
