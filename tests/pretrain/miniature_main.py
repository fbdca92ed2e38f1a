"""`python -m pretrain` with the miniature network of the tests known to it."""

import sys

from tiny import register_miniature

from pretrain.cli import main

register_miniature()
sys.exit(main())
