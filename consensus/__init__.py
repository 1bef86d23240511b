"""PBFT as a pure state machine: no I/O, no clock, no threads. Batches are bytes with a digest."""
