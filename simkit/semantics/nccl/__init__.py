"""What NCCL concludes of a topology, by the rules of its src/graph: NCCL's model of a machine, which is not a measurement of it.

`rules` (figures and thresholds by version) · `environment` (NCCL_* variables) · `graph` (vertices and links) · `build` and `device_links`, `broadcom`
(from a description to the graph) · `paths` (from every vertex to a GPU, port or CPU) · `system` (all of it; who is nearest) · `p2p`, `gdr` (what is allowed) ·
`conclude` (the answer) · `sysfs_view` (the description that NCCL would make of a host) · `complete`, `devices` (what a description leaves out) ·
`predict` (from whatever there is).
"""
