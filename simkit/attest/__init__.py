"""Verifying evidence offline (RATS, RFC 9334): each check is a function of evidence, endorsements, policy and a stated time."""
