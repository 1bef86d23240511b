"""Each module here adds golden vectors to scripts/gen_vectors."""
