"""The story that `isogenic demo` tells: the stage it plays on, its chapters, and their telling."""

from isogenic.sim.story.telling import tell

__all__ = ["tell"]
