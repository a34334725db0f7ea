"""What is remembered of files, and how files are replaced."""
