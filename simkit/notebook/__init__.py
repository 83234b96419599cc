"""simkit in a notebook: hosts, plans, proofs and differences that draw themselves.

from simkit.notebook import Host, diff
host = Host.load("hgx-h100")                                  # draws the PCIe tree
host.groups().to_pandas()                                     # a frame, one row a function
plan = host.solve("two-guests")                               # draws the tree with its guests
plan.verify("isolation")                                      # a table; a counterexample draws its way
diff(host, host.what_if(acs={"0000:82:00.0": ""}))            # what differs, marked in the tree
"""

from __future__ import annotations

from simkit.notebook.difference import Difference, diff
from simkit.notebook.frame import Frame, Matrix, MissingPandas
from simkit.notebook.host import Host, NoPlan, Plan, Report

__all__ = ["Difference", "Frame", "Host", "Matrix", "MissingPandas", "NoPlan", "Plan", "Report", "diff"]
