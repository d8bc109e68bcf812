"""`make bench`: the costs of the service compared with those of others, in one run."""
