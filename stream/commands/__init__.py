"""The work of the commands; `actionstream.cli` has their names and options."""
