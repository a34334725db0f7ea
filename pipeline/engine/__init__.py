"""One way to do heavy work: partitions, stores, workers, the incremental loop, rejects."""
