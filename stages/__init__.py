"""One thin script per DVC stage."""

import os
import signal

if "DVC_STAGE" in os.environ:
    # Ctrl-C while libraries are imported ends the stage without a traceback; later run_main does.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    import multiprocessing

    if multiprocessing.current_process().name == "MainProcess":
        from pipeline.engine import process

        # `dvc` killed: its next run must not meet this one. Before all imports, which take seconds.
        process.die_with(os.getppid())
