"""What the commands do; `actionstream.cli.main` says what they are called and take."""
