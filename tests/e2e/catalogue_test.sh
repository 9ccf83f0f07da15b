#!/bin/sh
# The catalogue as clients see it.
exec node "$(dirname "$0")/catalogue.test.js"
