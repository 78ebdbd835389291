"""`serve`: cameras that are watched all day, and the systems that are told of their events."""
