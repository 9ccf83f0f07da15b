#!/bin/sh
# A slow disk.
exec node "$(dirname "$0")/disk.test.js"
