"""The report: one self-contained page about what the pipeline made and how well its runs do."""
