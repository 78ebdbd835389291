"""Live sources: feeds, batches, and the timelines of streams."""
