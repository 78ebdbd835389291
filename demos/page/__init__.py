"""The web page: `actionstream demo`."""
