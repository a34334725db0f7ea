"""Training: batches, losses, optimiser, checkpoints, and the loop over them."""
