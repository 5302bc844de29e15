"""What a person can be told. Raised anywhere below a command; one place turns it into a reply.

UserFault              the message is a sentence for the person: what happened, what to do, what was charged
├── BadImage           the attached picture cannot be used
├── BadRequest         an option, the prompt or the provider does not fit
├── NotAllowed         the person or the bot lacks a permission
├── OverAllowance      nothing is left in this window
└── NotNow             the bot or the job is in a state in which this cannot be done
"""


class UserFault(Exception):
    """Something to tell the person who asked. Nothing was charged when it is raised."""


class BadImage(UserFault):
    pass


class BadRequest(UserFault):
    pass


class NotAllowed(UserFault):
    pass


class OverAllowance(UserFault):
    pass


class NotNow(UserFault):
    pass


class DeliveryFault(Exception):
    """A message could not be brought to Discord. For the engine, not for people.

    DeliveryFault
    ├── Undelivered    not now: an outage, a cut connection, a rate limit; worth another try
    │   └── NonceTaken     Discord answered with an earlier message that had the same nonce
    ├── Undeliverable  the channel, the permission or the message is gone
    │   ├── Gone       the channel does not exist any more
    │   │   └── MessageGone  the channel does, and somebody has deleted the message
    │   ├── Archived   the thread sleeps; a new message wakes it up, an edit does not
    │   └── NoReplies  the bot may post there, and not answer what it cannot read
    └── TooLarge       Discord does not take a file of this size here
    """


class Undelivered(DeliveryFault):
    pass


class NonceTaken(Undelivered):
    pass


class Undeliverable(DeliveryFault):
    pass


class Gone(Undeliverable):
    pass


class MessageGone(Gone):
    pass


class Archived(Undeliverable):
    pass


class NoReplies(Undeliverable):
    pass


class TooLarge(DeliveryFault):
    pass
