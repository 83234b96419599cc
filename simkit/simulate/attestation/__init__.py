"""The flow of attestation run: every reachable state within stated bounds, with adversaries alone and in pairs."""
