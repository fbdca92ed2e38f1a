"""`python -m pretrain` with the miniature network of the tests known to it."""

import sys

from pretrain.cli import main
from tests.pretrain.tiny import register_miniature

register_miniature()
sys.exit(main())
