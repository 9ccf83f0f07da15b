#!/bin/sh
# Images and files by their address, for upstreams that take bytes alone (R37).
exec node "$(dirname "$0")/inline.test.js"
