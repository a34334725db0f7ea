"""From a video or image of anybody's to a verdict of a trained run, in numbers, words and pictures.

``Predictor`` is for services: faces in, probabilities out, from any number of threads.
"""

from pipeline.prediction.predictor import FaceScores, Predictor, Verdict

__all__ = ["FaceScores", "Predictor", "Verdict"]
