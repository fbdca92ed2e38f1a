"""Records of what was measured come in; every table and report made from them goes out.

No torch is imported here, and of our other packages only what all commands share. So tables rebuild on a
laptop from a copied directory.
"""
