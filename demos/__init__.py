"""Short programs to read and run, and the web page."""
