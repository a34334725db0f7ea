"""What users write: parameters, run parameters, profiles; read strictly."""

from pipeline.config.loading import (
    DATASETS,
    PARAMS,
    check_datasets,
    load,
    load_datasets,
    read_yaml,
)

__all__ = ["DATASETS", "PARAMS", "check_datasets", "load", "load_datasets", "read_yaml"]
