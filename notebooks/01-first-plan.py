# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # From a machine to a plan
#
# An HGX H100 class server, three guests that do not fit, two that do: which devices, why these, and what is proved about them.

# %%
from simkit.notebook import Host

host = Host.load("hgx-h100")
host

# %% [markdown]
# The tree as an engineer draws it: sockets, root ports, switches, devices. Line width is link width times speed. Now the groups that
# Linux would make of it, and how near the GPUs are to the NICs.

# %%
frame = host.groups().to_pandas()
print(host.grouping.status, frame["group"].nunique(), "groups")
frame[frame["kind"] == "gpu"]

# %%
host.p2p(["0000:03:00.0", "0000:04:00.0", "0000:05:00.0", "0000:43:00.0", "0000:83:00.0"]).to_pandas()

# %% [markdown]
# Three guests: nine GPUs are asked for, there are eight. The answer names the lines that cannot hold together, and the smallest changes.

# %%
answer = host.solve("three-guests")
for reason in answer.because:
    print("-", reason.text)
print("feasible if:")
for relaxation in answer.relaxations:
    print("-", relaxation.text)
assert any("3 GPUs" in relaxation.text for relaxation in answer.relaxations)

# %% [markdown]
# Without `batch`:

# %%
plan = host.solve("two-guests")
plan

# %%
plan.guests

# %%
report = plan.verify("demo")
assert report.verdict == "residual"  # no TDISP: what no check can see is said
report

# %% [markdown]
# The same where somebody turned ACS off at one switch port. Still nobody shares an IOMMU group, but the isolation is gone: the request
# from the GPU turns around in the switch, and the IOMMU never sees it.

# %%
broken = plan.what_if(acs={"0000:82:00.0": ""}).verify("isolation")
assert broken.verdict == "fail"
broken

# %% [markdown]
# What is it that differs? Compared fact by fact, and marked in the tree.

# %%
import simkit

difference = simkit.diff(host, host.what_if(acs={"0000:82:00.0": ""}))
assert difference.rows.rows == (("0000:82:00.0", "acs.control", "SV,RR,CR,UF", "nothing"),)
difference

# %% [markdown]
# What QEMU is started with:

# %%
print(plan.render("qemu")["infer.qemu.sh"])
