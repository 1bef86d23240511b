"""What this ledger can do on this machine, measured: `scripts/bench`.

Four real daemons unless a scenario says otherwise, real TLS, synchronous storage, each record's signature checked by every replica, roots of the
state and of the history in every block. The load generator runs on the same cores.
"""
