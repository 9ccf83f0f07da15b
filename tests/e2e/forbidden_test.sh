#!/bin/sh
# Not one byte to a forbidden endpoint.
exec node "$(dirname "$0")/forbidden.test.js"
