"""Live detectors of actions, learnt from long videos in which they are annotated."""
