#!/bin/sh
# provider discover against an upstream of the test's own.
exec node "$(dirname "$0")/discover.test.js"
