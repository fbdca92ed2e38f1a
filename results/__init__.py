"""Records of what was measured, and every table and report made from them.

Nothing of ours and no torch is imported here, so tables rebuild on a laptop from a copied directory.
"""
