"""The department's vault: values and salts of confidential fields, off chain, and how they are forgotten (docs/adr/0017-a-vault-that-can-forget.md)."""
