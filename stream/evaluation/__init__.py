"""Evaluation of untrimmed video, with the engine that ships."""
