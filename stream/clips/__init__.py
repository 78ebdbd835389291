"""Clips of events: the packets of a camera, copied from a ring in memory into files."""
