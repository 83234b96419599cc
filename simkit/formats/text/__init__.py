"""What tools print: lspci, kernel logs, rdma_topo."""
