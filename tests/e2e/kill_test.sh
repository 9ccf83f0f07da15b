#!/bin/sh
# kill -9 under load, again and again.
exec node "$(dirname "$0")/kill.test.js"
