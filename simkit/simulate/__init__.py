"""What becomes of it: runs of models over time, exhaustively or drawn."""
