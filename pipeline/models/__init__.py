"""Classifiers: built from parameters, initialised or loaded, used by training and evaluation alike.

``build`` makes a classifier to be trained; ``skeleton`` one that a checkpoint is loaded into.
"""

from pipeline.models.base import Classifier, Outputs
from pipeline.models.catalogue import build, image_px, settings, skeleton
from pipeline.models.hierarchy import GraphClassifier
from pipeline.models.joint_embedding import JointEmbedding

__all__ = [
    "Classifier",
    "GraphClassifier",
    "JointEmbedding",
    "Outputs",
    "build",
    "image_px",
    "settings",
    "skeleton",
]
