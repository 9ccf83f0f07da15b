#!/bin/sh
# Connections to upstreams: kept, dead, idle.
exec node "$(dirname "$0")/connections.test.js"
