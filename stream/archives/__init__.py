"""Archives: a result of each of many videos, made by processes of their own, on one machine or on many."""
