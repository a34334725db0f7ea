"""Training: batches, losses, optimizer, checkpoints, and the loop over them."""
