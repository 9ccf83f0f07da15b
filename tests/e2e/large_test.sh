#!/bin/sh
# Requests of 20 MB.
exec node "$(dirname "$0")/large.test.js"
