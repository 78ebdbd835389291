"""Exported files: one step of a network, with its state as inputs and outputs, for runtimes without torch."""
