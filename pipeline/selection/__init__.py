"""Which faces are taken: filters, choice, balance."""
