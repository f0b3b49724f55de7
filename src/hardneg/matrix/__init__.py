"""The (queries x candidates) score matrix: what a step reads, what is scored, and what each source did."""
