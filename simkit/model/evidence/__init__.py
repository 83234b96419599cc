"""Evidence and what is concluded from it, in the words of RATS (RFC 9334): frozen types, no bytes read, nothing decided."""
