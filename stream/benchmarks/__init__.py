"""Benchmarks; each runs with one command."""
