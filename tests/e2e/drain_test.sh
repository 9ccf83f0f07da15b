#!/bin/sh
# The end: SIGTERM with streams under way.
exec node "$(dirname "$0")/drain.test.js"
