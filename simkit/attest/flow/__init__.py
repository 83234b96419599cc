"""The flow of attestation as tables: parties, states of devices, rules, checks, adversaries and properties."""
