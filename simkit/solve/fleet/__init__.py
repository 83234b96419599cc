"""Guests spread over several hosts: equal hosts and equal guests are counted, then named."""
