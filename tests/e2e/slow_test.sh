#!/bin/sh
# Clients that take their time.
exec node "$(dirname "$0")/slow.test.js"
