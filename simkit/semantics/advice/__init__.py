"""What to set on a host for a stated aim, what it gains, costs and opens: pure functions, each claim checked by the rules that predict."""
