"""The command line, and what its commands do besides running stages."""
