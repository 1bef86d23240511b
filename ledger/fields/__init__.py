"""What a field's value may look like: types, codes and patterns (docs/protocol.md section 5)."""
