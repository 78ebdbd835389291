"""Annotations of untrimmed videos: what happens from when to when. One reader for training and for evaluation."""
