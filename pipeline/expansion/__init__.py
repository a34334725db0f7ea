"""Semantic dataset expansion (SJEDD, section III): region swaps between aligned faces."""
