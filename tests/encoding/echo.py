"""A handler for a process: what is asked is done by name. This file imports nothing of the package, as all handlers."""

import os
import sys
import time
from typing import Any


class Echo:
    def __call__(self, request: Any) -> Any:
        do = request.fields["do"]
        if do == "raise":
            raise KeyError("a key")
        if do == "exit":
            os._exit(7)
        if do == "hang":
            sys.stdout.write("hangs\n")
            sys.stdout.flush()
            while True:
                time.sleep(3600)
        return request._replace(fields={"pid": os.getpid()}, arrays=tuple(2 * each for each in request.arrays))
