"""Detectors: built from parameters, initialised or loaded, used by training and evaluation alike.

``build`` makes a detector to be trained; ``skeleton`` one that a checkpoint is loaded into.
"""

from pipeline.models.base import Detector, Outputs
from pipeline.models.catalogue import build, settings, skeleton
from pipeline.models.joint_embedding import JointEmbedding

__all__ = ["Detector", "JointEmbedding", "Outputs", "build", "settings", "skeleton"]
