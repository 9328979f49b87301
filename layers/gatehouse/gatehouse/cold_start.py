"""What a process that somebody waits for does differently while it starts.

Owns settings of the interpreter and of `logging` that their documentation offers for this (docs/adr/0019). They hold
for the whole process, so only the edge of a function uses them.
"""

import gc
import logging


class ColdStart:
    """A block of imports for which nothing is looked up or searched that nobody asks for.

    What is imported stays for good: looking through it for garbage is left out while it is loaded, and afterwards.
    https://docs.python.org/3/library/gc.html#gc.freeze

    A line of Lambda's log names no thread, no process and no caller, so no record finds them out.
    https://docs.python.org/3/howto/logging.html#optimization
    """

    def __enter__(self) -> None:
        gc.disable()
        logging._srcfile = None  # noqa: SLF001 - this is how its documentation says it
        logging.logThreads = False
        logging.logProcesses = False
        logging.logMultiprocessing = False

    def __exit__(self, *_: object) -> None:
        gc.freeze()
        gc.enable()
