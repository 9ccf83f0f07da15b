#!/bin/sh
# Streams: slow readers, clients that leave, upstreams that break off.
exec node "$(dirname "$0")/streams.test.js"
