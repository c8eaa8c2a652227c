"""``python -m simulator`` is the command ``bindsim``."""

from simulator.cli import main

raise SystemExit(main())
