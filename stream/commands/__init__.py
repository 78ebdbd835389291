"""What the commands do; `stream.cli` says what they are called and take."""
