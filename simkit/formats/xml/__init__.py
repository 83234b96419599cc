"""Topologies as XML: hwloc's and NCCL's, hardened."""
