#!/bin/sh
# Configuration changed under load.
exec node "$(dirname "$0")/reload.test.js"
