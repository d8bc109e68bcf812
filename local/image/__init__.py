"""A stand-in for AWS's image of python3.13, where no registry can be reached."""
