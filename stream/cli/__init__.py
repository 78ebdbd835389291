"""The command line: the options of each command; stream/commands has the work."""
