#!/bin/sh
# Every way an upstream can fail.
exec node "$(dirname "$0")/failures.test.js"
