#!/bin/sh
# What stands behind a model's colon.
exec node "$(dirname "$0")/variants.test.js"
