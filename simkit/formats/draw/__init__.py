"""Answers for people: text, SVG, HTML."""
