#!/bin/sh
# Labels of keys and requests, as policies read them.
exec node "$(dirname "$0")/labels.test.js"
