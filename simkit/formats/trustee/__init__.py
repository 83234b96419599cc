"""What Trustee (confidential-containers/trustee) and the pods it trusts read and write: policies, reference values, init-data, tokens."""
