"""Runtimes: the software that runs a model, behind one protocol."""
