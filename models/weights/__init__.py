"""Checkpoints, and the weights of other projects."""
