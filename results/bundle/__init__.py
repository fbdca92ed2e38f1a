"""A directory of records comes in; a bundle goes out, a folder or archive that others check and merge."""
