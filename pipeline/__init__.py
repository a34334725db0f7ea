"""faceshards: deepfake videos in, balanced, labelled, verified face shards out."""
