"""What the commands do; `actionstream.cli` has their names and options."""
