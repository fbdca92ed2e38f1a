"""A backbone or a report on a file comes in; a file of another program, or text, goes out."""
