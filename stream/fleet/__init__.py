"""`fleet`: the cameras of `serve`, spread over the nodes of a cluster."""
