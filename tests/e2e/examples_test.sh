#!/bin/sh
# Each ready policy of policies/examples in a live gateway.
exec node "$(dirname "$0")/examples.test.js"
