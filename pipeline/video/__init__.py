"""Video files: facts from headers, which times to look at, exact decoding."""
