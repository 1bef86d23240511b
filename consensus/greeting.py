"""A lost or rolled-back vote log is found out from the peers (docs/protocol.md C18)."""

from __future__ import annotations

from consensus.context import Context
from consensus.events import GreetingReceived
from consensus.memory import MAX_SEEN
from ledger.crypto.types import ReplicaId


class Probation:
    """A started replica votes only once q − 1 peers have greeted it and none showed a message of its own that it does not know."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._greeters: set[ReplicaId] = set()

    @property
    def is_over(self) -> bool:
        """Whether this replica may vote."""
        config = self._context.config
        return config.accepts_lost_votes or len(self._greeters) >= config.membership.q - 1

    def on_greeting(self, event: GreetingReceived) -> bool:
        """Whether probation ended with it. A signature that only this key can have made, and is not known, ends the key."""
        context = self._context
        if self.is_over:
            return False
        if event.greeting.epoch != context.membership.epoch:
            # It knows nothing of what was signed in this one, or no more.
            context.ignore(event.sender, "other epoch")
            return False
        if len(event.greeting.seen) > MAX_SEEN:
            context.blame(event.sender, "greeting too long")
            return False
        for envelope in event.greeting.seen:
            if envelope.replica != context.own:
                context.blame(event.sender, "greeting with another's message")
                return False
            content = context.authenticator.verified(envelope)
            if content is not None and not context.safety.knows(content):
                context.safety.end_key()
                context.halted = True
                context.ready.votes_lost = True
                context.trace("votes lost", told_by=event.sender)
                return False
        self._greeters.add(event.sender)
        return self.is_over
