"""Faces: detectors, landmarkers, crop geometry, and the video-to-faces work."""
