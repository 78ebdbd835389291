"""The networks of the catalogue, one file each, and the layers that several share."""
