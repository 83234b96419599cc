"""simkit's own files: hosts, workloads, policies and plans as YAML or JSON, each fault with its line."""
