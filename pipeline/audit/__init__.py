"""What is wrong with the data: leaks, duplicates, conflicts; and what is dropped for it."""
