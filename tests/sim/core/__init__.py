"""The core alone, on a stand-in ledger: many seeds in little time, liars that know the protocol, a witness, and planted bugs."""
