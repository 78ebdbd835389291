"""Short programs a person reads and runs, and the web page."""
