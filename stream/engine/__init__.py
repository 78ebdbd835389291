"""The engine, and the scorers that it asks: one network, or several fused."""
