"""Names in the environment of the processes of one training. Light: no torch."""

RANK = "RANK"
"""Number of the process, from 0; there where several train together. torchrun's own name."""
RENDEZVOUS = "FACESHARDS_RENDEZVOUS"
"""A file by which they find each other."""
OWNER = "FACESHARDS_OWNER"
"""Id of the process that started them, with which they end."""
