"""The command line: the options of each command; what they do is in stream/commands."""
