"""Whole videos: their scores, segments, pictures and subtitles."""
