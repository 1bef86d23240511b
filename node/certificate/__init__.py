"""Certificates that people hold: printed pages whose codes carry a statement, and reading them back."""
