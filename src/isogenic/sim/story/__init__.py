"""The story that `isogenic demo` tells: the stage it plays on, its chapters, and their telling."""

from isogenic.sim.story.telling import DEFAULT_SPEED, tell

__all__ = ["DEFAULT_SPEED", "tell"]
