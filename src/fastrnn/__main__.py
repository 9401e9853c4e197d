"""``python -m fastrnn`` is the command ``fastrnn``."""

from __future__ import annotations

import sys

from fastrnn.command.cli import main

sys.exit(main())
