"""simkit in a notebook: hosts, plans, proofs, differences and evidence that draw themselves.

from simkit.notebook import Evidence, Host, diff
host = Host.load("hgx-h100")                                  # draws the PCIe tree
host.groups().to_pandas()                                     # a frame, one row a function
plan = host.solve("two-guests")                               # draws the tree with its guests
plan.verify("isolation")                                      # a table; a counterexample draws its way
diff(host, host.what_if(acs={"0000:82:00.0": ""}))            # what differs, marked in the tree
Evidence.load("hgx-h100-gpus.json", "hgx-h100-switches.json").verify(at="2025-07-01")   # a verdict, and each check with its reason
"""

from __future__ import annotations

from simkit.notebook.difference import Difference, diff
from simkit.notebook.evidence import Appraisal, Evidence
from simkit.notebook.frame import Frame, Matrix, MissingPandas, Outcomes
from simkit.notebook.host import Host, NoPlan, Plan, Report

__all__ = ["Appraisal", "Difference", "Evidence", "Frame", "Host", "Matrix", "MissingPandas", "NoPlan", "Outcomes", "Plan", "Report", "diff"]
