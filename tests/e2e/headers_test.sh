#!/bin/sh
# What answers carry beside their bodies, and the metrics.
exec node "$(dirname "$0")/headers.test.js"
