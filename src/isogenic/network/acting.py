"""As whom a person acts at the control site: the actor of a fact, the role of a signature."""

from __future__ import annotations

from isogenic.authority.people import Person, Role
from isogenic.authority.rules import Act, roles_that_may
from isogenic.records.facts import Actor
from isogenic.records.signatures import PASSWORD, Signature

__all__ = ["actor_of", "role_for"]


def actor_of(person: Person, role: Role, signature: Signature | None = None) -> Actor:
    """A person in a role, signed in by the method of the signature."""
    return Actor(str(person.id), str(role), signature.method if signature is not None else PASSWORD)


def role_for(person: Person, act: Act) -> Role:
    """The role in which the person does this: the first of theirs that the act is open to."""
    return next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
