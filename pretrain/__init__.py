"""Images come in; a checkpoint goes out, through which alone the rest of the project meets this package.

The methods are MoCo (arXiv 1911.05722 and 2003.04297) and those that its paper compares with it.
"""
