"""The shard format, for whoever reads faces: keys, tars, index, reading and checking."""
