"""`make bench`: what the service costs, beside what others cost, in one run."""
