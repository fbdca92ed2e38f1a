"""Lists how many blocks the stages of a ResNet have, by its depth: for whoever reads, names or builds one.

Importing it needs no torch, as importing the function beside it does.
"""

# Depth -> blocks of res2..res5 (He et al., arXiv 1512.03385, table 1); a basic one is two 3x3 convolutions.
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BLOCKS = BASIC | BOTTLENECK
