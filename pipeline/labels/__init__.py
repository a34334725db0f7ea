"""What a face is labelled with: vectors over a named graph, attribution classes."""
