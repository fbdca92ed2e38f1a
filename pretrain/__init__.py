"""MoCo pre-training (arXiv 1911.05722 and 2003.04297); meets the rest of the project only through a
checkpoint file.
"""
