"""An index over HTTP: searches by upload, by id, by a part and by a dot, and the encoder for other services.

`served` loads what answers, `newest` follows the versions of the index, `questions` answers one request from one
snapshot, `together` makes a batch of requests that come at the same time. `app` is the ASGI application (Starlette):
its `routes` say what there is to ask, `guard` who may, `bodies` how much may be sent, `refusals` which error is which
status. `server` runs it by uvicorn. Nothing here trains, fits or writes an index, and nothing that is sent is kept.

Needs the packages of the extra `serve`.
"""
