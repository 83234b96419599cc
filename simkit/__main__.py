"""`python -m simkit`."""

from __future__ import annotations

from simkit.cli.main import main

main()
