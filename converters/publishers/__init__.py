"""A network's place in a file comes in; its publisher's row goes out. Contributors edit the rows here."""
