"""What all rooms share: errors, files, checked settings, names, extras, the cache, processes."""
