"""What somebody could take instead of this ledger, doing the same work in the same run."""
