#!/bin/sh
# How upstreams are treated: places, lines, retries, breakers.
exec node "$(dirname "$0")/upstreams.test.js"
