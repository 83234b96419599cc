"""Readers and writers: text or bytes to model objects and back. Nothing here concludes."""
