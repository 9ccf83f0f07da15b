#!/bin/sh
# A disk without room under a running gateway.
exec node "$(dirname "$0")/room.test.js"
