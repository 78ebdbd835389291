"""What all packages share: errors, files, checked settings, names, extras, the cache, processes."""
