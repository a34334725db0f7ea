"""From a trained run to scores per face, scores per video, and metrics."""
