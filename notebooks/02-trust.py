# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Whom to trust
#
# Before a secret goes to a guest, its CPU, its GPUs and the switches between them must be what they claim to be. The evidence below is real,
# as its makers published it (`models/evidence/README.md` has the sources). Nothing here asks the network or the clock.

# %%
from simkit.notebook import Evidence

board = Evidence.load("hgx-h100-gpus.json", "hgx-h100-switches.json")
board

# %% [markdown]
# What it says of itself, unverified:

# %%
claims = board.claims.to_pandas()
claims[claims["claim"].isin(["arch", "driver_version", "vbios_version"])]

# %% [markdown]
# And what holds, at the time of the publication. Green held; amber was not checked, which never counts as held; a residual risk is what no
# check can see.

# %%
appraisal = board.verify(at="2025-07-01")
assert appraisal.verdict == "residual"
appraisal

# %% [markdown]
# The same evidence with the first GPU in the place of all eight: each piece is right by itself, the set is not.

# %%
from dataclasses import replace

first, *_ = board.data.statements
forged = Evidence(replace(board.data, statements=(first,) * 8 + board.data.statements[8:])).verify(at="2025-07-01")
assert forged.verdict == "fail"
forged.because

# %% [markdown]
# An Intel TDX quote with its collateral, while that was valid, and after it expired:

# %%
quote = Evidence.load("tdx-quote.bin")
print(quote.verify("tdx-collateral.json", at="2025-07-01"))
print()
late = quote.verify("tdx-collateral.json", at="2026-10-01")
assert late.verdict == "fail"
print(late)
