"""WebDataset shards: packing, reading, verifying."""
