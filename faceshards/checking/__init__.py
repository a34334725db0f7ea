"""What a shard folder promises, checked part by part; each part yields sentences."""
