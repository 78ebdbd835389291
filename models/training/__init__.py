"""Everything offline: rendering, training, testing."""
