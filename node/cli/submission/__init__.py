"""Puts the records of a file on chain: read, check, sign, journal, send, and go on after any interruption."""
