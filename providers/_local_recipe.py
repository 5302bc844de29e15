"""What `providers.local` and its child tell each other. Imported by both, so it imports little."""

from providers.options import Frozen

PICTURE = "picture"
RECIPE = "recipe.json"
VIDEO = "video.mp4"
PROGRESS = "progress"
"""What lies in an operation's folder; the video only once it is whole."""


class Recipe(Frozen):
    """All that a render depends on beside the picture."""

    prompt: str
    seconds: int
    short_side: int
    """Pixels."""
    ratio: float | None
    """Width to height; the picture's own if None."""
    seed: int
