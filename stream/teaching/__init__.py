"""Teaching: a live model of a person's own actions, from a few examples of each."""

from actionstream.teaching.teacher import Teacher

__all__ = ["Teacher"]
