"""A recipe's name and overrides come in; a checked configuration goes out."""
